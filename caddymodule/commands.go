package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/caddymodule/commands"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

func init() {
	commands.Use(commands.Host{Settings: settings, OpenStore: openStore, OpenLedger: openLedger, GateRules: gateRules})
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

// gateRules returns the rules of each gate in a config, in the order of the
// config's JSON with its names sorted.
func gateRules(config []byte) ([][]scan.Rule, error) {
	if config == nil {
		return nil, nil
	}
	var root any
	if err := json.Unmarshal(config, &root); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	gates, err := appendGates(nil, root)
	if err != nil {
		return nil, err
	}
	rules := make([][]scan.Rule, len(gates))
	for i := range gates {
		rules[i] = gates[i].rules()
	}
	return rules, nil
}

// appendGates appends the gates in a part of a config.
func appendGates(gates []Gate, part any) ([]Gate, error) {
	var err error
	switch part := part.(type) {
	case []any:
		for _, p := range part {
			if gates, err = appendGates(gates, p); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if part["handler"] == "tallygate" {
			var g Gate
			raw, _ := json.Marshal(part) // it has just been read
			if err := json.Unmarshal(raw, &g); err != nil {
				return nil, fmt.Errorf("reading the config of a tallygate handler: %w", err)
			}
			return append(gates, g), nil
		}
		names := make([]string, 0, len(part))
		for name := range part {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if gates, err = appendGates(gates, part[name]); err != nil {
				return nil, err
			}
		}
	}
	return gates, nil
}
