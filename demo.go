package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/caddymodule/commands"
	"github.com/tallygate/tallygate/stockmcp"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "demo",
		Usage: "[--data <folder>] [--new-key]",
		Short: "Runs a stock MCP server, the gate and the admin API in one process",
		Long: `
Starts a sample MCP server with synthetic stock data on 127.0.0.1:9001, the gate
in front of it on :8001 and the admin API on :8000, on embedded SQLite, and
prints a login, an API key and settings to paste into an MCP client.

Everything is kept in --data, so that a second start goes on where the first
ended. The first start makes the user that TALLYGATE_ADMIN_EMAIL and
TALLYGATE_ADMIN_PASSWORD name, or else demo@example.com with a new password.
The password and the key are shown once; --new-key makes another key.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			data := cmd.Flags().String("data", filepath.Join("data", "demo"), "Folder for users, keys and usage")
			newKey := cmd.Flags().Bool("new-key", false, "Make another API key")
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				return runDemo(cmd.Context(), cmd.OutOrStdout(), *data, *newKey)
			}
		},
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "stockmcp",
		Usage: "[--listen <address>]",
		Short: "Runs the sample MCP server with synthetic stock data, alone",
		Long: `
Serves MCP at /messages, without accounts or keys: what Tallygate is put in
front of. The data is synthetic and the same at every start.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			listen := cmd.Flags().String("listen", stockAddress, "Address to listen on")
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				serve, err := startStock(*listen)
				if err != nil {
					return err
				}
				cmd.Printf("Stock MCP server: http://%s/messages\n", *listen)
				return serve()
			}
		},
	})
}

// The addresses of the demo. The last two are those of the Caddyfile.
const (
	stockAddress = "127.0.0.1:9001"
	adminAddress = ":8000"
	gateAddress  = ":8001"
)

// startStock listens, and returns a function that serves until the process ends.
func startStock(address string) (serve func() error, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the stock MCP server cannot listen: %w", err)
	}
	s, err := stockmcp.New()
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	return func() error { return server.Serve(l) }, nil
}

// runDemo runs the demo until a signal ends the process.
func runDemo(ctx context.Context, out io.Writer, data string, newKey bool) error {
	demo := commands.Standalone{
		Caddyfile: caddyfile, Upstream: stockAddress, Gate: gateAddress, Admin: adminAddress, Endpoint: "/messages",
		Server: "stock-data", Data: data, Email: "demo@example.com", KeyName: "demo", NewKey: newKey,
		Title: "Tallygate's demo is running.", Subject: "a stock MCP server with synthetic data",
		Call: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_daily","limit":3}}}`,
	}
	if err := demo.CheckAddresses(); err != nil {
		return err
	}
	serve, err := startStock(stockAddress)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	if err := demo.Start(ctx, out); err != nil {
		return err
	}
	return <-failed
}
