package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// exitAttention is the exit status of a command that did what it was told and
// found something that a person should look at.
const exitAttention = 3

// appCommand makes a command that runs with the app that a config names, until
// a signal ends it.
func appCommand(cmd *cobra.Command, args cobra.PositionalArgs, run func(context.Context, *App) (int, error)) *cobra.Command {
	cmd.Args = args
	config := cmd.Flags().StringP("config", "c", "", "Configuration file (default: a Caddyfile in this folder, if there is one)")
	adapter := cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter to apply")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		cmd.SilenceUsage = true
		app, err := configuredApp(*config, *adapter)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return run(ctx, app)
	})
	return cmd
}

// configuredApp is the app of a config, as Provision would complete it.
func configuredApp(config, adapter string) (*App, error) {
	data, _, _, err := caddycmd.LoadConfig(config, adapter)
	if err != nil {
		return nil, err
	}
	app := new(App)
	if data != nil {
		var c caddy.Config
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("reading the config: %w", err)
		}
		if raw := c.AppsRaw["tallygate"]; raw != nil {
			if err := caddy.StrictUnmarshalJSON(raw, app); err != nil {
				return nil, fmt.Errorf("reading the config of tallygate: %w", err)
			}
		}
	}
	return app, app.complete()
}
