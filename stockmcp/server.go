// Package stockmcp is a stock MCP server: stock as in shares, and stock as in
// what an operator already has before anything is put in front of it. It is
// built on mcp-go, knows no authentication, and keeps no session. Its data,
// companies, prices, reports and holidays alike, is synthetic: generated in
// memory at start, always the same, and read-only.
package stockmcp

import (
	"context"
	"net/http"

	"github.com/mark3labs/mcp-go/server"
)

const instructions = `Read-only stock data for trying things out. Everything in it is synthetic: the companies, exchanges, prices, reports and holidays are made up, and nothing in it is investment advice. Prices and reports end at 2026-06-30.
Start with list_tables and describe_table. Read rows with query_table, one company's prices with get_daily, and joins or totals with run_sql (SQLite's SQL). backtest runs for a while and reports its progress.`

// maxBody bounds a request's body, which mcp-go reads whole; in bytes.
const maxBody = 4 << 20

// Server answers MCP over streamable HTTP at /messages, and 404 elsewhere. A
// request needs no initialize and no session before it, and no Accept header.
// On a loopback address, mcp-go answers 403 to a Host that is not local.
type Server struct {
	data       *database
	streamable *server.StreamableHTTPServer
	handler    http.Handler
}

// New generates the data and returns the server.
func New() (*Server, error) {
	data, err := newDatabase()
	if err != nil {
		return nil, err
	}
	m := server.NewMCPServer("stock-data", "1.0.0",
		server.WithTitle("Stock data (synthetic)"),
		server.WithInstructions(instructions),
		server.WithToolCapabilities(false),
		server.WithStrictInputSchemaDefault(),
		server.WithInputSchemaValidation(),
		server.WithRecovery(),
	)
	addTools(m, data)
	streamable := server.NewStreamableHTTPServer(m, server.WithSessionIdManagerResolver(sessionless{}))
	mux := http.NewServeMux()
	mux.Handle("/messages", streamable)
	return &Server{data, streamable, http.MaxBytesHandler(mux, maxBody)}, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends the open GET streams and releases the data. A call that is still
// running fails, and so does every later one.
func (s *Server) Close() error {
	s.streamable.CloseSessions(context.Background())
	return s.data.close()
}

// sessionless is mcp-go's stateless mode, but for one thing: a GET stream is
// given a session of its own. In plain stateless mode it would take the empty
// session ID that every POST has too, and swallow other callers' progress.
type sessionless struct{}

func (sessionless) ResolveSessionIdManager(r *http.Request) server.SessionIdManager { //nolint:revive // mcp-go's name
	if r != nil && r.Method == http.MethodGet {
		return &server.StatelessGeneratingSessionIdManager{}
	}
	return &server.StatelessSessionIdManager{}
}

var (
	_ http.Handler                    = (*Server)(nil)
	_ server.SessionIdManagerResolver = sessionless{}
)
