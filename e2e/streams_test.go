package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// hearing is a session of the official Go SDK's client that records what it
// receives.
type hearing struct {
	*sdk.ClientSession
	*keyedWire
	progress, logged, changed, withdrawn chan struct{}
}

// hear connects a client that answers "Ada" to an elicitation and "Hello" to a
// sampling request.
//
//nolint:staticcheck // logging and sampling are deprecated, and clients still do them
func (s *site) hear(ctx context.Context, t *testing.T, key string) *hearing {
	t.Helper()
	h := &hearing{keyedWire: newKeyedWire(key), progress: make(chan struct{}, 100), logged: make(chan struct{}, 100), changed: make(chan struct{}, 100), withdrawn: make(chan struct{}, 100)}
	c := sdk.NewClient(&sdk.Implementation{Name: "go-sdk-client", Version: "2.0"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *sdk.ProgressNotificationClientRequest) { h.progress <- struct{}{} },
		LoggingMessageHandler:       func(context.Context, *sdk.LoggingMessageRequest) { h.logged <- struct{}{} },
		ToolListChangedHandler:      func(context.Context, *sdk.ToolListChangedRequest) { h.changed <- struct{}{} },
		ElicitationHandler: func(ctx context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			if r.Params.Message == "Quick!" {
				<-ctx.Done()
				h.withdrawn <- struct{}{}
				return nil, ctx.Err()
			}
			return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"name": "Ada"}}, nil
		},
		CreateMessageHandler: func(context.Context, *sdk.CreateMessageRequest) (*sdk.CreateMessageResult, error) {
			return &sdk.CreateMessageResult{Model: "m", Role: "assistant", Content: &sdk.TextContent{Text: "Hello"}}, nil
		},
	})
	var err error
	h.ClientSession, err = c.Connect(ctx, &sdk.StreamableClientTransport{Endpoint: s.gate, HTTPClient: &http.Client{Transport: h.keyedWire}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// says calls a tool with a progress token and returns the text of its result.
func (h *hearing) says(ctx context.Context, t *testing.T, tool string) string {
	t.Helper()
	params := &sdk.CallToolParams{Name: tool, Arguments: map[string]any{}}
	params.SetProgressToken("token")
	res, err := h.CallTool(ctx, params)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	text, _ := res.Content[0].(*sdk.TextContent)
	if text == nil || res.IsError {
		t.Fatalf("%s: %+v", tool, res)
	}
	return text.Text
}

// cancelsWait calls "wait", cancels, and checks that the server learns of it.
func (h *hearing) cancelsWait(ctx context.Context, t *testing.T, u *sdkUpstream) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := h.CallTool(ctx, &sdk.CallToolParams{Name: "wait", Arguments: map[string]any{}})
		failed <- err
	}()
	await(t, "the call has begun", u.began)
	cancel()
	await(t, "the server has learned that the call is canceled", u.canceled)
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended in %v", err)
	}
}

// await waits for something, for 30 s at most.
func await(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited 30 s in vain until %s", what)
	}
}

// endsIn checks that a tool's call has left one row, its outcome (alternatives are
// separated by |), and which client made it.
func (s *site) endsIn(t *testing.T, jwt, tool, outcome, client string) {
	t.Helper()
	var rows []any
	eventually(t, "a row of "+tool, func() bool {
		history := do(t, "GET", s.admin+"/api/mcp-usage/history?page=1&page_size=200", "", jwt).json(t)
		rows, _ = history["items"].([]any)
		rows = slices.DeleteFunc(rows, func(row any) bool { return row.(map[string]any)["tool_name"] != tool })
		return len(rows) > 0
	})
	row := rows[0].(map[string]any)
	if len(rows) != 1 || !slices.Contains(strings.Split(outcome, "|"), row["outcome"].(string)) || fmt.Sprint(row["client_name"], " ", row["client_version"]) != client {
		t.Errorf("the rows of %s are %v", tool, rows)
	}
}

// TestStreamsOfSessions checks everything that a server with sessions can do:
// progress and logging on the stream of a call, requests to the client and its
// answers, a notification on the standing stream, a resumed stream, cancellation by
// either side, and the end of the session.
func TestStreamsOfSessions(t *testing.T) {
	u := startSDKUpstream(t, sdk.StreamableHTTPOptions{EventStore: sdk.NewMemoryEventStore(nil)})
	s := startSiteAt(t, u.address)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h := s.hear(ctx, t, key)

	if err := h.SetLoggingLevel(ctx, &sdk.SetLoggingLevelParams{Level: "info"}); err != nil { //nolint:staticcheck // it is of these revisions
		t.Fatal(err)
	}
	h.says(ctx, t, "backtest")
	for range 5 {
		await(t, "the client hears of each step", h.progress)
		await(t, "the client hears each log message", h.logged)
	}
	if got := h.says(ctx, t, "ask"); got != "Hello Ada" {
		t.Errorf("the server was told %q", got)
	}

	go func() {
		<-h.withdrawn
		u.arrived <- struct{}{}
	}()
	if got := h.says(ctx, t, "hurry"); got != "never mind" {
		t.Errorf("the server that took its question back says %q", got)
	}

	eventually(t, "the standing stream", func() bool { return h.got("GET 200") })
	sdk.AddTool(u.Server, &sdk.Tool{Name: "new"}, queryTable)
	await(t, "the client hears of the new tool", h.changed)

	if got := h.says(ctx, t, "pause"); got != "after the pause" {
		t.Errorf("the stream taken up again says %q", got)
	}
	if !u.saw(func(line string) bool { return strings.HasPrefix(line, "GET ") && line != "GET " }) {
		t.Error("no stream was taken up again")
	}
	h.cancelsWait(ctx, t, u)
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if !h.got("DELETE 204") {
		t.Errorf("the session was not deleted: %v", h.answers)
	}
	for range u.Sessions() {
		t.Error("the server still has a session")
	}
	// The server answers the canceled call, too; its stream may end before.
	for tool, outcome := range map[string]string{"backtest": "ok", "ask": "ok", "hurry": "ok", "pause": "ok", "wait": "aborted|tool_error"} {
		s.endsIn(t, jwt, tool, outcome, "go-sdk-client 2.0")
	}
}

// TestStreamsWithoutSessions checks the same for the revision 2026-07-28, where
// notifications come on the stream of subscriptions/listen, a server asks by a
// result, and a client cancels a call by closing its stream.
func TestStreamsWithoutSessions(t *testing.T) {
	u := startSDKUpstream(t, sdk.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true})
	s := startSiteAt(t, u.address)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h := s.hear(ctx, t, key)
	if got := h.InitializeResult().ProtocolVersion; got != "2026-07-28" {
		t.Fatalf("they speak %s", got)
	}

	h.says(ctx, t, "backtest")
	for range 5 {
		await(t, "the client hears of each step", h.progress)
	}
	if got := h.says(ctx, t, "ask"); got != "Hello Ada" {
		t.Errorf("the server was told %q", got)
	}
	sdk.AddTool(u.Server, &sdk.Tool{Name: "new"}, queryTable)
	await(t, "the client hears of the new tool", h.changed)
	h.cancelsWait(ctx, t, u)
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	for tool, outcome := range map[string]string{"backtest": "ok", "ask": "ok", "wait": "aborted"} {
		s.endsIn(t, jwt, tool, outcome, "go-sdk-client 2.0")
	}
}
