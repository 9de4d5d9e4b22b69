// Package commands has the commands that Tallygate adds to Caddy's, beside the
// gates that run and without them: users, keys, ledger, extract.
package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
// none. run returns the exit status and an error, which is printed as one line on the
// standard error.
func configCommand(cmd *cobra.Command, args cobra.PositionalArgs, run func(config []byte) (int, error)) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return failed(cmd, exitInvalid, fmt.Errorf("%w: write it as %s", err, cmd.UseLine()))
		}
		return nil
	}
	config := cmd.Flags().StringP("config", "c", "", "Configuration file (default: a Caddyfile in this folder, if there is one)")
	adapter := cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter to apply")
	cmd.SetFlagErrorFunc(FlagError)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		data, err := LoadConfig(*config, *adapter)
		if err != nil {
			return failed(cmd, caddy.ExitCodeFailedStartup, err)
		}
		status, err := run(data)
		if err != nil || status != caddy.ExitCodeSuccess {
			return failed(cmd, status, err)
		}
		return nil
	}
	return cmd
}

// group makes a command of its subcommands. By itself it does nothing, and anything
// that is not one of them is an error.
func group(cmd *cobra.Command, subcommands ...*cobra.Command) {
	cmd.AddCommand(subcommands...)
	cmd.SuggestionsMinimumDistance = 2
	cmd.SetFlagErrorFunc(FlagError)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			_ = cmd.Help()
			return failed(cmd, exitInvalid, nil)
		}
		return failed(cmd, exitInvalid, fmt.Errorf("there is no command %s of `%s`%s", identity.Quote(args[0]), cmd.CommandPath(), meant(cmd.SuggestionsFor(args[0]), "")))
	}
}

// meant returns what to add to a message about something unknown, of which some
// names are close.
func meant(names []string, before string) string {
	if len(names) == 0 {
		return "; --help lists what there is"
	}
	return "; did you mean " + before + names[0] + "?"
}

// FlagError returns the error for flags that cannot be read. It adds the flag that
// was meant to that of an unknown one.
func FlagError(cmd *cobra.Command, err error) error {
	suffix := ""
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		flags := &cobra.Command{SuggestionsMinimumDistance: 2}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		})
		suffix = meant(flags.SuggestionsFor(unknown.GetSpecifiedName()), "--")
	}
	return failed(cmd, exitInvalid, fmt.Errorf("%w%s", err, suffix))
}

// ExitError ends the program with a status. What there is to say has been printed.
type ExitError struct {
	Status int
	err    error // Caddy's, which has the status for its own main
}

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Status) }

// Unwrap returns the error that Caddy's main knows.
func (e *ExitError) Unwrap() error { return e.err }

// failed prints an error, unless it is nil, and returns what ends the program with a
// status.
func failed(cmd *cobra.Command, status int, err error) error {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err != nil {
		cmd.PrintErrln("Error:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	caddys := caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
	return &ExitError{status, caddys}
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
