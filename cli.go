package main

import (
	"errors"
	"regexp"
	"slices"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/caddymodule/commands"
)

const about = `Tallygate puts API keys and a usage ledger in front of an MCP server.

  tallygate demo                                     a sample server behind a gate
  tallygate proxy --to http://127.0.0.1:3001/mcp     a gate in front of your server
  tallygate run                                      the same with a Caddyfile

It is Caddy with more modules and commands; Caddy's own work as they do there.`

const footer = `
Caddy's commands are documented at https://caddyserver.com/docs/command-line`

// withdrawn are the commands of Caddy that would replace this binary by a Caddy
// without Tallygate.
var withdrawn = []string{"upgrade", "add-package", "remove-package"}

// newRoot returns the command with all that Caddy and Tallygate register under it.
// Caddy's own root has the withdrawn ones, and says "caddy" in its help.
func newRoot() *cobra.Command {
	_, version := caddy.Version()
	root := &cobra.Command{Use: "tallygate", Long: about, Version: version, SilenceUsage: true, SuggestionsMinimumDistance: 2}
	root.SetFlagErrorFunc(commands.FlagError)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetHelpTemplate(root.HelpTemplate() + footer + "\n")
	for _, c := range caddycmd.Commands() {
		if slices.Contains(withdrawn, c.Name) {
			continue
		}
		cmd := &cobra.Command{Use: c.Name + " " + c.Usage, Short: c.Short, Long: c.Long}
		if c.CobraFunc != nil {
			c.CobraFunc(cmd)
		} else {
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(c.Func)
			cmd.Flags().AddGoFlagSet(c.Flags)
		}
		root.AddCommand(cmd)
	}
	rename(root)
	return root
}

// caddyCommand matches the name of Caddy's binary in a help text.
var caddyCommand = regexp.MustCompile(`\bcaddy\b([ '.)])`)

// rename writes the name of this binary in the help of a command and of those below
// it.
func rename(cmd *cobra.Command) {
	for _, text := range []*string{&cmd.Use, &cmd.Short, &cmd.Long, &cmd.Example} {
		*text = caddyCommand.ReplaceAllString(*text, "tallygate$1")
	}
	for _, c := range cmd.Commands() {
		rename(c)
	}
}

// execute runs the command line, and returns the exit status.
func execute(root *cobra.Command) int {
	err := root.Execute()
	if err == nil {
		return caddy.ExitCodeSuccess
	}
	if exit, ok := errors.AsType[*commands.ExitError](err); ok {
		return exit.Status
	}
	return caddy.ExitCodeFailedStartup
}
