// Command gosdk is the official Go SDK's server, stateless and stateful,
// answering with JSON and with event streams, with tools that do nothing but
// count.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tallygate/tallygate/e2e/upstreams/counter"
)

func main() {
	c := new(counter.Counter)
	upstreams := map[string]http.Handler{}
	for name, o := range map[string]mcp.StreamableHTTPOptions{
		"go-sdk stateless JSON": {Stateless: true, JSONResponse: true},
		"go-sdk stateless SSE":  {Stateless: true},
		"go-sdk stateful JSON":  {JSONResponse: true},
		"go-sdk stateful SSE":   {},
	} {
		s := newServer(c, name)
		upstreams[name] = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &o)
	}
	if err := c.Serve(upstreams); err != nil {
		log.Fatal(err)
	}
}

func newServer(c *counter.Counter, name string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, nil)
	header := func(r mcp.Request) http.Header {
		if extra := r.GetExtra(); extra != nil {
			return extra.Header
		}
		return nil
	}
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			c.Note(name, header(r), method)
			return next(ctx, method, r)
		}
	})
	for _, tool := range []string{"count", "other"} {
		s.AddTool(&mcp.Tool{Name: tool, InputSchema: json.RawMessage(`{"type":"object"}`)},
			func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				c.Note(name, header(r), "run "+tool)
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "counted"}}}, nil
			})
	}
	return s
}
