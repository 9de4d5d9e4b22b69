// Command mcpgo is mcp-go's server, stateless and stateful, with tools that do
// nothing but count.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/tallygate/tallygate/e2e/upstreams/counter"
)

func main() {
	c := new(counter.Counter)
	err := c.Serve(map[string]http.Handler{
		"mcp-go stateless": streamable(c, "mcp-go stateless", server.WithStateLess(true)),
		"mcp-go stateful":  streamable(c, "mcp-go stateful", server.WithStateful(true)),
	})
	if err != nil {
		log.Fatal(err)
	}
}

type headerKey struct{}

func header(ctx context.Context) http.Header {
	h, _ := ctx.Value(headerKey{}).(http.Header)
	return h
}

func streamable(c *counter.Counter, name string, o server.StreamableHTTPOption) http.Handler {
	hooks := new(server.Hooks)
	hooks.AddBeforeAny(func(ctx context.Context, _ any, method mcp.MCPMethod, _ any) {
		c.Note(name, header(ctx), string(method))
	})
	s := server.NewMCPServer(name, "1", server.WithHooks(hooks), server.WithToolCapabilities(true),
		server.WithResourceCapabilities(true, true), server.WithPromptCapabilities(true), server.WithLogging())
	for _, tool := range []string{"count", "other"} {
		s.AddTool(mcp.NewTool(tool), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			c.Note(name, header(ctx), "run "+tool)
			return mcp.NewToolResultText("counted"), nil
		})
	}
	for _, method := range []string{"notifications/cancelled", "notifications/progress", "notifications/roots/list_changed", "tools/call"} {
		s.AddNotificationHandler(method, func(ctx context.Context, _ mcp.JSONRPCNotification) {
			c.Note(name, header(ctx), method)
		})
	}
	return server.NewStreamableHTTPServer(s, o, server.WithHTTPContextFunc(func(ctx context.Context, r *http.Request) context.Context {
		return context.WithValue(ctx, headerKey{}, r.Header)
	}))
}
