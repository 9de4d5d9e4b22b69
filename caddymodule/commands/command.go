// Package commands has the commands that Tallygate adds to Caddy's, beside the
// gates that run and without them: users, keys, ledger, extract.
package commands

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// exitAttention is the exit status of a command that did its job and found
// something that a person should look at.
const exitAttention = 3

// Host is what the commands need of the Caddy module, which imports this package
// so that the commands are in every Caddy that has the module.
type Host struct {
	// Settings reads an adapted config; nil is a config that sets nothing.
	Settings func(config []byte) (Settings, error)

	// OpenStore and OpenLedger open what a DSN names.
	OpenStore  func(dsn string) (identity.Store, error)
	OpenLedger func(dsn string) (usage.Ledger, error)

	// RulesOf returns the rules of a gate, given as the JSON of its handler.
	RulesOf func(handler []byte) ([]scan.Rule, error)
}

// Settings are a config's settings, after placeholders and defaults.
type Settings struct {
	Store     string // DSN
	Ledger    string // DSN
	Journal   string // folder
	KeyFormat identity.KeyFormat
}

var host Host

// Use sets the host of all commands, before any of them runs.
func Use(h Host) { host = h }

// configCommand makes a command that runs with an adapted config; nil where there is
// none.
func configCommand(cmd *cobra.Command, args cobra.PositionalArgs, run func(config []byte) (int, error)) *cobra.Command {
	cmd.Args = args
	config := cmd.Flags().StringP("config", "c", "", "Configuration file (default: a Caddyfile in this folder, if there is one)")
	adapter := cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter to apply")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		cmd.SilenceUsage = true
		data, _, _, err := caddycmd.LoadConfig(*config, *adapter)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return run(data)
	})
	return cmd
}

// settingsCommand makes a command that runs with the settings of a config, until
// a signal ends it.
func settingsCommand(cmd *cobra.Command, args cobra.PositionalArgs, run func(context.Context, Settings) (int, error)) *cobra.Command {
	return configCommand(cmd, args, func(config []byte) (int, error) {
		settings, err := host.Settings(config)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return run(ctx, settings)
	})
}
