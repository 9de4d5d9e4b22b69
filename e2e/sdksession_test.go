package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// sdkUpstream is a server on the official Go SDK. Its tools use everything that a
// server can do besides answering.
type sdkUpstream struct {
	*sdk.Server
	address  string
	began    chan struct{} // "wait" has begun
	canceled chan struct{} // "wait" has been canceled
	arrived  chan struct{} // what "hurry" has taken back is

	mu       sync.Mutex
	requests []string // "METHOD Last-Event-ID"
}

// startSDKUpstream starts a server of one of the SDK's modes.
func startSDKUpstream(tb testing.TB, o sdk.StreamableHTTPOptions) *sdkUpstream {
	tb.Helper()
	u := &sdkUpstream{
		Server:   sdk.NewServer(&sdk.Implementation{Name: "sdk-upstream", Version: "1"}, nil),
		began:    make(chan struct{}, 1),
		canceled: make(chan struct{}, 1),
		arrived:  make(chan struct{}, 1),
	}
	sdk.AddTool(u.Server, &sdk.Tool{Name: "query_table"}, queryTable)
	sdk.AddTool(u.Server, &sdk.Tool{Name: "backtest"}, backtest)
	sdk.AddTool(u.Server, &sdk.Tool{Name: "ask"}, ask)
	sdk.AddTool(u.Server, &sdk.Tool{Name: "hurry"}, u.hurry)
	sdk.AddTool(u.Server, &sdk.Tool{Name: "pause"}, pause)
	sdk.AddTool(u.Server, &sdk.Tool{Name: "wait"}, u.wait)
	mcp := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return u.Server }, &o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.requests = append(u.requests, r.Method+" "+r.Header.Get("Last-Event-ID"))
		u.mu.Unlock()
		mcp.ServeHTTP(w, r)
	}))
	tb.Cleanup(func() {
		server.CloseClientConnections() // streams that a client left open
		server.Close()
	})
	u.address = server.Listener.Addr().String()
	return u
}

// saw reports whether a request has come whose line the test accepts.
func (u *sdkUpstream) saw(accept func(line string) bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.ContainsFunc(u.requests, accept)
}

type queryArgs struct {
	Table string `json:"table"`
	Limit int    `json:"limit,omitempty"`
}

type queryResult struct {
	Rows []int `json:"rows"`
}

// queryTable returns as many rows as it was asked for.
func queryTable(_ context.Context, _ *sdk.CallToolRequest, args queryArgs) (*sdk.CallToolResult, queryResult, error) {
	if args.Table == "nonsense" {
		return nil, queryResult{}, fmt.Errorf("there is no table %s", args.Table)
	}
	return nil, queryResult{make([]int, args.Limit)}, nil
}

// backtest sends five progress notifications and five log messages.
func backtest(ctx context.Context, r *sdk.CallToolRequest, _ map[string]any) (*sdk.CallToolResult, any, error) {
	for step := 1.0; step <= 5; step++ {
		progress := &sdk.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: step, Total: 5}
		if err := r.Session.NotifyProgress(ctx, progress); err != nil {
			return nil, nil, err
		}
		if err := r.Session.Log(ctx, &sdk.LoggingMessageParams{Level: "info", Data: step}); err != nil { //nolint:staticcheck // clients of old revisions still hear it
			return nil, nil, err
		}
	}
	return said("done"), nil, nil
}

// hurry asks the client's user, cancels the question at once, and answers after it
// has learned that the cancellation has arrived, since the answer ends the stream.
func (u *sdkUpstream) hurry(ctx context.Context, r *sdk.CallToolRequest, _ map[string]any) (*sdk.CallToolResult, any, error) {
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err := r.Session.Elicit(soon, &sdk.ElicitParams{Message: "Quick!", RequestedSchema: map[string]any{"type": "object"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		return nil, nil, fmt.Errorf("the question ended in: %w", err)
	}
	select {
	case <-u.arrived:
	case <-ctx.Done():
	}
	return said("never mind"), nil, nil
}

// ask asks the client's user for a name and its model for a greeting: with
// requests of its own, or from 2026-07-28 on by a result that asks.
//
//nolint:staticcheck // sampling is deprecated, and servers still ask for it
func ask(ctx context.Context, r *sdk.CallToolRequest, _ map[string]any) (*sdk.CallToolResult, any, error) {
	form := &sdk.ElicitParams{Message: "Name?", RequestedSchema: map[string]any{
		"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}},
	}}
	prompt := &sdk.CreateMessageParams{MaxTokens: 10, Messages: []*sdk.SamplingMessage{{Role: "user", Content: &sdk.TextContent{Text: "Greet."}}}}
	if r.ProtocolVersion() < "2026-07-28" {
		user, err := r.Session.Elicit(ctx, form)
		if err != nil {
			return nil, nil, err
		}
		model, err := r.Session.CreateMessage(ctx, prompt)
		if err != nil {
			return nil, nil, err
		}
		return said(model.Content.(*sdk.TextContent).Text + " " + user.Content["name"].(string)), nil, nil
	}
	if len(r.Params.InputResponses) == 0 {
		return &sdk.CallToolResult{InputRequests: sdk.InputRequestMap{"user": form, "model": prompt}}, nil, nil
	}
	user := r.Params.InputResponses["user"].(*sdk.ElicitResult)
	model := r.Params.InputResponses["model"].(*sdk.CreateMessageWithToolsResult)
	return said(model.Content[0].(*sdk.TextContent).Text + " " + user.Content["name"].(string)), nil, nil
}

// pause closes the stream of its call, so that the client has to resume it for the
// result.
func pause(_ context.Context, r *sdk.CallToolRequest, _ map[string]any) (*sdk.CallToolResult, any, error) {
	r.Extra.CloseSSEStream(sdk.CloseSSEStreamArgs{RetryAfter: 10 * time.Millisecond})
	return said("after the pause"), nil, nil
}

// wait waits until it is canceled.
func (u *sdkUpstream) wait(ctx context.Context, _ *sdk.CallToolRequest, _ map[string]any) (*sdk.CallToolResult, any, error) {
	u.began <- struct{}{}
	<-ctx.Done()
	u.canceled <- struct{}{}
	return nil, nil, ctx.Err()
}

func said(text string) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}
}

// keyedWire is a client's transport to the gate. It sends the current key with
// every request, and records the replies.
type keyedWire struct {
	key atomic.Value // string

	mu      sync.Mutex
	answers []string // "METHOD STATUS"
}

func newKeyedWire(key string) *keyedWire {
	w := new(keyedWire)
	w.key.Store(key)
	return w
}

func (w *keyedWire) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := withKey{w.key.Load().(string)}.RoundTrip(r)
	if err == nil {
		w.mu.Lock()
		w.answers = append(w.answers, fmt.Sprint(r.Method, " ", res.StatusCode))
		w.mu.Unlock()
	}
	return res, err
}

// got reports whether a request of a method was answered with a status.
func (w *keyedWire) got(answer string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.answers, answer)
}

// TestSessionSurvives401 checks that a client whose key fails for a while, here for
// one call each, sees the error and can continue its session.
func TestSessionSurvives401(t *testing.T) {
	u := startSDKUpstream(t, sdk.StreamableHTTPOptions{})
	s := startSiteAt(t, u.address)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	revoked := s.revokedKey(t, jwt)
	// A session of a client: its id, and a call.
	type session struct {
		id   func() string
		call func(ctx context.Context) error
	}
	for name, connect := range map[string]func(ctx context.Context, t *testing.T, w *keyedWire) session{
		"go-sdk": func(ctx context.Context, t *testing.T, w *keyedWire) session {
			c := sdk.NewClient(&sdk.Implementation{Name: "go-sdk-client", Version: "2.0"}, nil)
			cs, err := c.Connect(ctx, &sdk.StreamableClientTransport{Endpoint: s.gate, HTTPClient: &http.Client{Transport: w}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := cs.Close(); err != nil {
					t.Error(err)
				}
			})
			return session{cs.ID, func(ctx context.Context) error {
				_, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "query_table", Arguments: queryArgs{"t", 3}})
				return err
			}}
		},
		"mcp-go": func(ctx context.Context, t *testing.T, w *keyedWire) session {
			c, err := client.NewStreamableHttpClient(s.gate, transport.WithHTTPBasicClient(&http.Client{Transport: w}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := c.Start(ctx); err != nil {
				t.Fatal(err)
			}
			var init mcpgo.InitializeRequest
			init.Params.ProtocolVersion = "2025-11-25"
			init.Params.ClientInfo = mcpgo.Implementation{Name: "mcp-go-client", Version: "1.0"}
			if _, err := c.Initialize(ctx, init); err != nil {
				t.Fatal(err)
			}
			return session{c.GetSessionId, func(ctx context.Context) error {
				var req mcpgo.CallToolRequest
				req.Params.Name, req.Params.Arguments = "query_table", queryArgs{"t", 3}
				_, err := c.CallTool(ctx, req)
				return err
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			w := newKeyedWire(key)
			session := connect(ctx, t, w)
			id := session.id()
			if id == "" {
				t.Fatal("it has no session")
			}
			for _, bad := range []string{"", "sk-your-api-key-here", revoked} {
				if err := session.call(ctx); err != nil {
					t.Fatalf("with its key: %v", err)
				}
				w.key.Store(bad)
				if err := session.call(ctx); err == nil || !strings.Contains(err.Error(), "API key") && !strings.Contains(err.Error(), "authorization required") {
					t.Errorf("with the key %.8q it says %v", bad, err)
				}
				w.key.Store(key)
			}
			if err := session.call(ctx); err != nil {
				t.Errorf("with its key again: %v", err)
			}
			if got := session.id(); got != id {
				t.Errorf("the session was %s, and is %s", id, got)
			}
		})
	}
	for _, row := range s.awaitCalls(t, jwt, 8) {
		if row["outcome"] != "ok" || row["session_id"] == nil || row["client_name"] == nil || row["client_version"] == nil {
			t.Errorf("the row is %v", row)
		}
	}
}
