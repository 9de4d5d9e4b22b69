package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/identity"
)

// OpenStore opens the store that a DSN names, for a command that runs beside
// the gates or before them.
func OpenStore(dsn string) (identity.Store, error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	guest, err := loadGuest(ctx, "store", dsn)
	if err != nil {
		return nil, err
	}
	return guest.(StoreOpener).OpenStore()
}
