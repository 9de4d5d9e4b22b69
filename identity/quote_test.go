package identity_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

// TestQuote: no secret is repeated in a message, whatever stands around it, and what
// is none is.
func TestQuote(t *testing.T) {
	key, _, _ := identity.KeyFormat{}.NewKey()
	marked, err := identity.NewKeyFormat("acme_live_")
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := marked.NewKey()
	jwt := "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTkyZjBjMSJ9.5mhBHqs5_DTLdINd9p5m7ZJ6XD0Xc55kIaCRY5r6HRA"
	for _, secret := range []string{key, other, key[:40], jwt, "0123456789abcdef0123456789abcdef"} {
		for _, s := range []string{secret, " " + secret + " ", "Bearer " + secret, "key=" + secret + "&x", secret + secret} {
			got := identity.Quote(s)
			for i := range len(secret) - 16 {
				if strings.Contains(got, secret[i:i+17]) {
					t.Errorf("%q is quoted as %s", s, got)
					break
				}
			}
		}
	}
	for _, s := range []string{"", "query_*", "ana@example.com", uuid.NewString(), "getHistoricalStockPricesAdjusted", "a\tb", "2026-11-31", "99999999999999999999999"} {
		if got, want := identity.Quote(s), `"`+strings.ReplaceAll(s, "\t", `\t`)+`"`; got != want {
			t.Errorf("%q is quoted as %s", s, got)
		}
	}
}
