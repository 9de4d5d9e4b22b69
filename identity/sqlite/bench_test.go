package sqlite

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tallygate/tallygate/identity"
)

// BenchmarkLookUp authenticates keys that are not known yet.
func BenchmarkLookUp(b *testing.B) {
	for _, keys := range []int{10, 200_000} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			store, err := Open(newDSN(b))
			if err != nil {
				b.Fatal(err)
			}
			u := newUser(b)
			if err := store.CreateUser(b.Context(), u); err != nil {
				b.Fatal(err)
			}
			db, err := store.DB(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			tx, err := db.BeginTx(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			add, err := tx.Prepare(`INSERT INTO keys (id, user_id, name, prefix, digest, created_at) VALUES ($1, $2, 'key', $3, $4, 0)`)
			if err != nil {
				b.Fatal(err)
			}
			secrets := make([]string, keys)
			for i := range secrets {
				key, digest, prefix := (identity.KeyFormat{}).NewKey()
				if _, err := add.Exec(fmt.Sprint(i), u.ID, prefix, digest[:]); err != nil {
					b.Fatal(err)
				}
				secrets[i] = key
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
			a := identity.NewAuthority(store, identity.Options{})
			b.Cleanup(func() {
				if err := a.Close(); err != nil {
					b.Error(err)
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := a.Authenticate(b.Context(), secrets[rand.IntN(keys)], client); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
