package e2e

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// ada is a user called Ada whose model says hello.
type ada struct{}

func (ada) Elicit(context.Context, mcpgo.ElicitationRequest) (*mcpgo.ElicitationResult, error) {
	return &mcpgo.ElicitationResult{ElicitationResponse: mcpgo.ElicitationResponse{
		Action: mcpgo.ElicitationResponseActionAccept, Content: map[string]any{"name": "Ada"},
	}}, nil
}

func (ada) CreateMessage(context.Context, mcpgo.CreateMessageRequest) (*mcpgo.CreateMessageResult, error) {
	return &mcpgo.CreateMessageResult{
		SamplingMessage: mcpgo.SamplingMessage{Role: mcpgo.RoleAssistant, Content: mcpgo.NewTextContent("Hello")}, Model: "m",
	}, nil
}

// TestStreamsOfMCPGo checks that everything a server sends besides answers reaches
// mcp-go's client, and that the client's answers and cancellations reach the server,
// with and without sessions.
func TestStreamsOfMCPGo(t *testing.T) {
	for _, c := range []struct {
		revision string
		upstream sdk.StreamableHTTPOptions
	}{
		{"2025-11-25", sdk.StreamableHTTPOptions{}},
		{"2026-07-28", sdk.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true}},
	} {
		t.Run(c.revision, func(t *testing.T) {
			u := startSDKUpstream(t, c.upstream)
			s := startSiteAt(t, u.address)
			jwt := s.login(t)
			key, _ := s.key(t, jwt, `{"key_name":"k"}`)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			modern := c.revision >= "2026-07-28"
			wire := newKeyedWire(key)
			options := []transport.StreamableHTTPCOption{transport.WithHTTPBasicClient(&http.Client{Transport: wire})}
			if !modern {
				options = append(options, transport.WithContinuousListening()) //nolint:staticcheck // it is of this revision
			}
			way, err := transport.NewStreamableHTTP(s.gate, options...)
			if err != nil {
				t.Fatal(err)
			}
			mcp := client.NewClient(way, client.WithElicitationHandler(ada{}), client.WithSamplingHandler(ada{}))
			heard := map[string]chan struct{}{
				"notifications/progress":                   make(chan struct{}, 100),
				"notifications/tools/list_changed":         make(chan struct{}, 100),
				"notifications/subscriptions/acknowledged": make(chan struct{}, 100),
			}
			mcp.OnNotification(func(n mcpgo.JSONRPCNotification) {
				if c := heard[n.Method]; c != nil {
					c <- struct{}{}
				}
			})
			if err := mcp.Start(ctx); err != nil {
				t.Fatal(err)
			}
			var init mcpgo.InitializeRequest
			init.Params.ProtocolVersion = c.revision
			init.Params.ClientInfo = mcpgo.Implementation{Name: "mcp-go-client", Version: "1.0"}
			if res, err := mcp.Initialize(ctx, init); err != nil || res.ProtocolVersion != c.revision {
				t.Fatalf("they speak %+v, %v", res, err)
			}
			call := func(ctx context.Context, tool string) (string, error) {
				var req mcpgo.CallToolRequest
				req.Params.Name, req.Params.Arguments = tool, map[string]any{}
				req.Params.Meta = &mcpgo.Meta{ProgressToken: "token"}
				res, err := mcp.CallTool(ctx, req)
				if err != nil {
					return "", err
				}
				text, _ := mcpgo.AsTextContent(res.Content[0])
				return text.Text, nil
			}

			if _, err := call(ctx, "backtest"); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				await(t, "the client hears of each step", heard["notifications/progress"])
			}
			if got, err := call(ctx, "ask"); got != "Hello Ada" {
				t.Errorf("the server was told %q, %v", got, err)
			}

			stop := func() {}
			if modern {
				stop, err = mcp.ListenAsync(ctx, mcpgo.SubscriptionFilter{ToolsListChanged: true}, func(err error) { t.Error(err) })
				if err != nil {
					t.Fatal(err)
				}
				await(t, "the stream for notices is open", heard["notifications/subscriptions/acknowledged"])
			} else {
				eventually(t, "the standing stream", func() bool { return wire.got("GET 200") })
			}
			sdk.AddTool(u.Server, &sdk.Tool{Name: "new"}, queryTable)
			await(t, "the client hears of the new tool", heard["notifications/tools/list_changed"])

			if modern { // before, mcp-go's client cancels nothing over HTTP
				waiting, giveUp := context.WithCancel(ctx)
				defer giveUp()
				failed := make(chan error, 1)
				go func() {
					_, err := call(waiting, "wait")
					failed <- err
				}()
				await(t, "the call has begun", u.began)
				giveUp()
				await(t, "the server has learned that the call is canceled", u.canceled)
				if err := <-failed; !errors.Is(err, context.Canceled) {
					t.Errorf("the call ended in %v", err)
				}
				s.endsIn(t, jwt, "wait", "aborted", "mcp-go-client 1.0")
			}
			stop()
			if err := mcp.Close(); err != nil {
				t.Error(err)
			}
			if !modern && !wire.got("DELETE 204") {
				t.Errorf("the session was not deleted: %v", wire.answers)
			}
			s.endsIn(t, jwt, "backtest", "ok", "mcp-go-client 1.0")
			s.endsIn(t, jwt, "ask", "ok", "mcp-go-client 1.0")
		})
	}
}
