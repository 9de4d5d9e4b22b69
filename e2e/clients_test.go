package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// mcpClient is a client built on one of the SDKs.
type mcpClient struct {
	name string // what the client calls itself
	// connect opens a session and returns functions that list the tools, call one
	// (with progress if wanted), and end the session.
	connect func(ctx context.Context, url, key string) (*mcpSession, error)
}

type mcpSession struct {
	list  func(ctx context.Context) ([]string, error)
	call  func(ctx context.Context, tool string, args map[string]any) (structured any, isError bool, err error)
	slow  func(ctx context.Context) (progress int, err error) // calls backtest with a progress token
	close func() error
}

var mcpClients = []mcpClient{{"mcp-go-client", connectMCPGo}, {"go-sdk-client", connectGoSDK}}

func connectMCPGo(ctx context.Context, url, key string) (*mcpSession, error) {
	headers := map[string]string{}
	if key != "" {
		headers["Authorization"] = "Bearer " + key
	}
	c, err := client.NewStreamableHttpClient(url, transport.WithHTTPHeaders(headers))
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	progress := make(chan struct{}, 1000)
	c.OnNotification(func(n mcpgo.JSONRPCNotification) {
		if n.Method == "notifications/progress" {
			progress <- struct{}{}
		}
	})
	var init mcpgo.InitializeRequest
	init.Params.ProtocolVersion = mcpgo.LATEST_PROTOCOL_VERSION
	init.Params.ClientInfo = mcpgo.Implementation{Name: "mcp-go-client", Version: "1.0"}
	if _, err := c.Initialize(ctx, init); err != nil {
		return nil, err
	}
	call := func(ctx context.Context, tool string, args map[string]any, token mcpgo.ProgressToken) (*mcpgo.CallToolResult, error) {
		var req mcpgo.CallToolRequest
		req.Params.Name, req.Params.Arguments = tool, args
		if token != nil {
			req.Params.Meta = &mcpgo.Meta{ProgressToken: token}
		}
		return c.CallTool(ctx, req)
	}
	return &mcpSession{
		list: func(ctx context.Context) ([]string, error) {
			res, err := c.ListTools(ctx, mcpgo.ListToolsRequest{})
			if err != nil {
				return nil, err
			}
			var names []string
			for _, t := range res.Tools {
				names = append(names, t.Name)
			}
			return names, nil
		},
		call: func(ctx context.Context, tool string, args map[string]any) (any, bool, error) {
			res, err := call(ctx, tool, args, nil)
			if err != nil {
				return nil, false, err
			}
			return res.StructuredContent, res.IsError, nil
		},
		slow: func(ctx context.Context) (int, error) {
			_, err := call(ctx, "backtest", backtestArgs, "token")
			return len(progress), err
		},
		close: c.Close,
	}, nil
}

// withKey sends the key with every request, as a client's configured header.
type withKey struct{ key string }

func (t withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.key != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+t.key)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func connectGoSDK(ctx context.Context, url, key string) (*mcpSession, error) {
	progress := make(chan struct{}, 1000)
	c := sdk.NewClient(&sdk.Implementation{Name: "go-sdk-client", Version: "2.0"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *sdk.ProgressNotificationClientRequest) { progress <- struct{}{} },
	})
	session, err := c.Connect(ctx, &sdk.StreamableClientTransport{
		Endpoint:   url,
		HTTPClient: &http.Client{Transport: withKey{key}},
	}, nil)
	if err != nil {
		return nil, err
	}
	return &mcpSession{
		list: func(ctx context.Context) ([]string, error) {
			res, err := session.ListTools(ctx, nil)
			if err != nil {
				return nil, err
			}
			var names []string
			for _, t := range res.Tools {
				names = append(names, t.Name)
			}
			return names, nil
		},
		call: func(ctx context.Context, tool string, args map[string]any) (any, bool, error) {
			res, err := session.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: args})
			if err != nil {
				return nil, false, err
			}
			return res.StructuredContent, res.IsError, nil
		},
		slow: func(ctx context.Context) (int, error) {
			params := &sdk.CallToolParams{Name: "backtest", Arguments: backtestArgs}
			params.SetProgressToken("token")
			_, err := session.CallTool(ctx, params)
			return len(progress), err
		},
		close: session.Close,
	}, nil
}

var backtestArgs = map[string]any{"ts_code": "600001.NX", "steps": 5, "step_ms": 20}

// TestClients checks that clients built on both Go SDKs list and call tools through
// the gate, with progress on an event stream, and that each call has one row that
// names its client, its table and its number of records.
func TestClients(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	calls := 0
	for _, c := range mcpClients {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			key, keyID := s.key(t, jwt, `{"key_name":"`+c.name+`"}`)
			session, err := c.connect(ctx, s.gate, key)
			if err != nil {
				t.Fatal(err)
			}
			names, err := session.list(ctx)
			if err != nil || len(names) < 5 {
				t.Fatalf("it lists %q, %v", names, err)
			}
			structured, isError, err := session.call(ctx, "query_table", map[string]any{"table": "trade_calendar", "limit": 17})
			if err != nil || isError {
				t.Fatalf("the call ends in %v, isError %v", err, isError)
			}
			if rows := structured.(map[string]any)["rows"].([]any); len(rows) != 17 {
				t.Errorf("%d rows arrived, want 17", len(rows))
			}
			if _, isError, err := session.call(ctx, "query_table", map[string]any{"table": "nonsense"}); err == nil && !isError {
				t.Error("a call with bad arguments is no error")
			}
			progress, err := session.slow(ctx)
			if err != nil || progress == 0 {
				t.Errorf("the slow call ends in %v after %d progress notifications", err, progress)
			}
			if err := session.close(); err != nil {
				t.Error(err)
			}

			calls += 3
			rows := s.awaitCalls(t, jwt, calls)[:3] // newest first
			want := []map[string]any{
				{"tool_name": "backtest", "outcome": "ok"},
				{"tool_name": "query_table", "outcome": "tool_error", "table_name": "nonsense", "record_count": nil},
				{"tool_name": "query_table", "outcome": "ok", "table_name": "trade_calendar", "record_count": 17.0},
			}
			for i, row := range rows {
				for column, value := range want[i] {
					if row[column] != value {
						t.Errorf("row %d: %s is %v, want %v: %v", i, column, row[column], value, row)
					}
				}
				for column, value := range map[string]any{"key_id": keyID, "key_name": c.name, "user_email": adminEmail, "http_status": 200.0, "remote_ip": "127.0.0.1"} {
					if row[column] != value {
						t.Errorf("row %d: %s is %v, want %v", i, column, row[column], value)
					}
				}
			}
		})
	}
}

// TestClientsWithoutLiveKey checks that every client tells its user what is wrong,
// by the gate's message or as an HTTP 401, and that nothing is called.
func TestClientsWithoutLiveKey(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	revoked := s.revokedKey(t, jwt)
	for _, c := range mcpClients {
		// mcp-go's error for every 401 is "authorization required".
		for name, key := range map[string]string{"no key": "", "a revoked key": revoked, "an expired key": s.expiredKey(t, jwt), "a made-up key": "sk-your-api-key-here"} {
			t.Run(c.name+" with "+name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				session, err := c.connect(ctx, s.gate, key)
				if err == nil {
					_, err = session.list(ctx)
					_ = session.close() // of a session that may be broken
				}
				if err == nil {
					t.Fatal("it lists tools")
				}
				if text := err.Error(); !strings.Contains(text, "API key") && !strings.Contains(text, "401") && !strings.Contains(strings.ToLower(text), "authoriz") {
					t.Errorf("it says %q", text)
				}
			})
		}
	}
	if total := do(t, "GET", s.admin+"/api/mcp-usage/history", "", jwt).json(t)["total"]; total != 0.0 {
		t.Errorf("refused calls left %v rows", total)
	}
}
