package gate_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
)

// oneKey is an Authenticator that knows one key.
type oneKey string

func (k oneKey) Authenticate(_ context.Context, presented string, _ netip.Addr) (*authn.Principal, *authn.Denial, error) {
	if presented != string(k) {
		return nil, &authn.Denial{Reason: authn.Unknown}, nil
	}
	return &authn.Principal{UserID: "ann", KeyName: "laptop"}, nil, nil
}

func (oneKey) Watch(*authn.Watch, *authn.Principal, func()) {}
func (oneKey) Unwatch(*authn.Watch)                         {}

// printer is a Journal that prints events and keeps no pending calls.
type printer struct{}

func (printer) Append(e *usage.Event) error {
	fmt.Println(e.UserID, "called", e.Tool, "on", e.Tables, "and got", e.RecordCount.Int64, "records:", e.Outcome)
	return nil
}

func (printer) Admit() error                                 { return nil }
func (printer) Suspend(*journal.PendingCall) error           { return nil }
func (p printer) Finish(e *usage.Event) error                { return p.Append(e) }
func (printer) Forget(uuid.UUID)                             {}
func (printer) PendingCalls() ([]journal.PendingCall, error) { return nil, nil }

// A gate in front of a handler that answers each call with two rows.
func Example() {
	calls, err := gate.NewCallRegistry(printer{}, slog.Default())
	if err != nil {
		panic(err)
	}
	backend := &gate.Backend{Authenticator: oneKey("secret"), Calls: calls}
	g, err := gate.New(gate.Config{Backend: func(context.Context) *gate.Backend { return backend }})
	if err != nil {
		panic(err)
	}
	upstream := func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		_, err := io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"rows":[{"a":1},{"a":2}]}}}`)
		return err
	}

	for _, authorization := range []string{"", "Bearer secret"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/mcp", strings.NewReader(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","arguments":{"table":"stocks"}}}`))
		r.Header.Set("Content-Type", "application/json")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if err := g.ServeHTTP(w, r, upstream); err != nil {
			panic(err)
		}
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 401 {"jsonrpc":"2.0","id":1,"error":{"code":40101,"message":"API key required"}}
	// ann called query on [stocks] and got 2 records: ok
	// 200 {"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"rows":[{"a":1},{"a":2}]}}}
}
