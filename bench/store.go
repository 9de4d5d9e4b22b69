package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/sqlite"
)

// addKey makes a store in a folder, with a user who owns the key.
func addKey(folder, key string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	store, err := sqlite.Open("sqlite:" + filepath.Join(folder, "tallygate.db"))
	if err != nil {
		return err
	}
	ctx := context.Background()
	user, err := identity.NewUser(ctx, "bench@example.com", "correct horse battery staple", identity.Member)
	if err == nil {
		err = store.CreateUser(ctx, user)
	}
	if err == nil {
		var record identity.Key
		if record, _, err = (identity.KeyFormat{}).Issue(user.ID, identity.KeySpec{Name: "bench"}); err == nil {
			record.Digest = identity.DigestOf(key)
			err = store.CreateKey(ctx, record)
		}
	}
	return errors.Join(err, store.Close())
}
