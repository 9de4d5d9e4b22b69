// Package stockmcp is a stock MCP server: it serves stock data, and it stands for
// the off-the-shelf server that an operator already has. It is built on mcp-go,
// without authentication and sessions. Its data (companies, prices, reports,
// holidays) is synthetic: generated in memory at the start, always the same, and
// read-only.
package stockmcp

import (
	"context"
	"net/http"

	"github.com/mark3labs/mcp-go/server"
)

const instructions = `Read-only stock data for trying things out. Everything in it is synthetic: the companies, exchanges, prices, reports and holidays are made up, and nothing in it is investment advice. Prices and reports end at 2026-06-30.
Start with list_tables and describe_table. Read rows with query_table, one company's prices with get_daily, and joins or totals with run_sql (SQLite's SQL). backtest runs for a while and reports its progress.`

// maxBody limits a request's body in bytes, since mcp-go reads it as a whole.
const maxBody = 4 << 20

// Server serves MCP over streamable HTTP at /messages, and replies with 404
// elsewhere. A request needs no initialize, no session and no Accept header. On a
// loopback address mcp-go replies with 403 to a Host that is not local.
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

// Close ends the open GET streams and releases the data. Running and later calls
// fail.
func (s *Server) Close() error {
	s.streamable.CloseSessions(context.Background())
	return s.data.close()
}

// sessionless is mcp-go's stateless mode with one difference: a GET stream gets a
// session of its own. In plain stateless mode it would have the same empty session
// ID as every POST, and receive other callers' progress.
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
