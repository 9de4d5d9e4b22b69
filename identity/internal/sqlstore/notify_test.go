package sqlstore

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/identity"
)

// TestNotify: what a trigger writes is reported, and nothing else is.
func TestNotify(t *testing.T) {
	d := identity.DigestOf("a key")
	for change, want := range map[string]string{
		"user 0190":                        "0190/",
		"key " + hexOf(d):                  "/" + hexOf(d),
		"key " + strings.ToUpper(hexOf(d)): "/" + hexOf(d),
		"":                                 "",
		"user":                             "",
		"user ":                            "",
		"key ":                             "",
		"key 0190":                         "",
		"key " + hexOf(d) + "00":           "",
		"key " + strings.Repeat("g", 64):   "",
		"other 0190":                       "",
	} {
		var got string
		Notify(change, func(userID string, key identity.Digest) {
			got = userID + "/"
			if key != (identity.Digest{}) {
				got += hexOf(key)
			}
		})
		if got != want {
			t.Errorf("%q reports %q, want %q", change, got, want)
		}
	}
}

func hexOf(d identity.Digest) string { return hex.EncodeToString(d[:]) }
