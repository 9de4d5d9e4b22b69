package sqlstore

import (
	"encoding/hex"
	"strings"

	"github.com/tallygate/tallygate/identity"
)

// Tell tells of a change as the schemas' triggers write it: "user ID" or "key
// DIGEST", in hexadecimal. What others may write there says nothing.
func Tell(change string, changed func(userID string, key identity.Digest)) {
	what, which, _ := strings.Cut(change, " ")
	switch what {
	case "user":
		if which != "" {
			changed(which, identity.Digest{})
		}
	case "key":
		var d identity.Digest
		if len(which) != hex.EncodedLen(len(d)) {
			return
		}
		if _, err := hex.Decode(d[:], []byte(which)); err == nil {
			changed("", d)
		}
	}
}
