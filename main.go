// Command tallygate puts API keys and a usage ledger in front of an MCP server
// that has neither. It is Caddy with Tallygate's modules and those of Caddy's
// that a reverse proxy needs (modules.go), and two commands of its own: demo
// and stockmcp.
package main

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/caddymodule/commands"
)

// version is the release, as "v1.2.3". A release sets it by
// -ldflags "-X main.version=v1.2.3"; otherwise it is what Go knows of the build.
var version string

// gcPercent lets the heap grow further before it is collected. A gate has only a
// few MB in use, so that Go's default of 100 would collect it dozens of times a
// second under load. Caddy sets the memory limit, which bounds the heap in any case.
const gcPercent = 200

// caddyfile is the production configuration, which `demo` runs too, and `run` where
// there is no other.
//
//go:embed Caddyfile
var caddyfile []byte

func main() {
	caddy.CustomBinaryName = "tallygate"
	// Caddy's `version` command prints this in front of Caddy's own version.
	caddy.CustomVersion = "Tallygate " + ownVersion() + ", Caddy"
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Args = withConfig(os.Args)
	if err := checkSocket(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(caddy.ExitCodeFailedStartup)
	}
	os.Exit(execute(newRoot()))
}

// shipped is a config adapter that reads every file as the shipped Caddyfile.
type shipped struct{}

func init() { caddyconfig.RegisterAdapter("shipped", shipped{}) }

// Adapt adapts the shipped Caddyfile.
func (shipped) Adapt(_ []byte, options map[string]any) ([]byte, []caddyconfig.Warning, error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, options)
}

// withConfig returns a command line that names the shipped Caddyfile where it would
// start a Caddy without a config, which serves nothing: it names none, and there is
// no Caddyfile in the folder.
func withConfig(args []string) []string {
	if len(args) < 2 || !slices.Contains([]string{"run", "start", "reload"}, args[1]) {
		return args
	}
	for _, arg := range args[2:] {
		for _, flag := range []string{"--config", "-c", "--adapter", "-a", "--resume", "-r"} {
			if strings.HasPrefix(arg, flag) {
				return args
			}
		}
	}
	if _, err := os.Stat("Caddyfile"); !errors.Is(err, fs.ErrNotExist) {
		return args
	}
	return slices.Concat(args, []string{"--config", os.DevNull, "--adapter", "shipped"})
}

// checkSocket returns an error if a command line would run a config whose control
// socket another process answers. Caddy would take the socket away from that
// process, before it finds that the ports are taken.
func checkSocket(args []string) error {
	if len(args) < 2 || args[1] != "run" {
		return nil
	}
	cmd := &cobra.Command{FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}}
	file := cmd.Flags().StringP("config", "c", "", "")
	adapter := cmd.Flags().StringP("adapter", "a", "", "")
	resume := cmd.Flags().BoolP("resume", "r", false, "")
	if err := cmd.ParseFlags(args[2:]); err != nil || *resume {
		return nil // Caddy reports what is wrong with its flags and its config
	}
	if *file == "-" {
		return nil // it can be read once
	}
	config, err := commands.LoadConfig(*file, *adapter)
	if err != nil {
		return nil
	}
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil || c.Admin == nil {
		return nil
	}
	socket, ok := strings.CutPrefix(c.Admin.Listen, "unix/")
	if !ok {
		return nil
	}
	socket, _, _ = strings.Cut(socket, "|") // the mode
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return fmt.Errorf("another gate runs with this config, since its control socket %s answers: stop it first, or change its config with \"tallygate reload\"", socket)
}

// ownVersion returns the version of this binary, or "(devel)" for a build from
// a folder that says none.
func ownVersion() string {
	built := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		built = info.Main.Version
	}
	return cmp.Or(version, built, "(devel)")
}
