package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/caddymodule/commands"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

func init() {
	commands.Use(commands.Host{Settings: settings, OpenStore: openStore, OpenLedger: openLedger, RulesOf: rulesOf})
}

// settings reads the app in a config for the commands, as Provision would
// complete it.
func settings(config []byte) (commands.Settings, error) {
	app := new(App)
	if config != nil {
		var c caddy.Config
		if err := json.Unmarshal(config, &c); err != nil {
			return commands.Settings{}, fmt.Errorf("reading the config: %w", err)
		}
		if raw := c.AppsRaw["tallygate"]; raw != nil {
			if err := caddy.StrictUnmarshalJSON(raw, app); err != nil {
				return commands.Settings{}, fmt.Errorf("reading the config of tallygate: %w", err)
			}
		}
	}
	err := app.complete()
	return commands.Settings{Store: app.Store, Ledger: app.Ledger, Journal: app.Journal.Folder, KeyFormat: app.keyFormat}, err
}

// openStore opens the store that a DSN names, for a command that runs beside
// the gates or before them.
func openStore(dsn string) (identity.Store, error) {
	guest, err := openGuest("store", dsn)
	if err != nil {
		return nil, err
	}
	return guest.(StoreOpener).OpenStore()
}

// openLedger opens the ledger that a DSN names, for a command.
func openLedger(dsn string) (usage.Ledger, error) {
	guest, err := openGuest("ledger", dsn)
	if err != nil {
		return nil, err
	}
	return guest.(LedgerOpener).OpenLedger()
}

// openGuest loads the module that a DSN names outside a config.
func openGuest(what, dsn string) (any, error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	return loadGuest(ctx, what, dsn)
}

// rulesOf returns the rules of a gate, given as the JSON of its handler.
func rulesOf(handler []byte) ([]scan.Rule, error) {
	var g Gate
	if err := json.Unmarshal(handler, &g); err != nil {
		return nil, fmt.Errorf("reading the config of a tallygate handler: %w", err)
	}
	return g.rules(), nil
}
