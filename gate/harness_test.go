package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/identity/sqlite"
)

// site is a gate in front of an upstream, with users and keys in a file and
// events in memory.
type site struct {
	url       string // of the MCP endpoint
	gate      *gate.Gate
	journal   *gatetest.Journal
	authority *authn.Authority
	limiter   *quota.Limiter
	calls     *gate.CallRegistry
	log       *logBuffer

	backend  atomic.Pointer[gate.Backend] // nil: none
	upstream *httputil.ReverseProxy
}

// The user who owns the keys of a site, and another one.
const (
	owner    = "owner"
	stranger = "stranger"
)

// startSite starts a site in front of an upstream's address. options change the
// gate's config.
func startSite(t *testing.T, upstream string, options ...func(*gate.Config)) *site {
	t.Helper()
	store, err := sqlite.Open("sqlite:" + t.TempDir() + "/tallygate.db")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{journal: new(gatetest.Journal), authority: authn.New(store, authn.Options{}), log: new(logBuffer)}
	s.limiter = quota.NewLimiter(s.authority)
	t.Cleanup(func() {
		s.limiter.Close()
		if err := s.authority.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, id := range []string{owner, stranger} {
		user := identity.User{ID: id, Email: id + "@example.com", Role: identity.Member, CreatedAt: time.Now()}
		if err := s.authority.CreateUser(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.restart(t)

	target := &url.URL{Scheme: "http", Host: upstream}
	s.upstream = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1, // every chunk
		ErrorLog:      slog.NewLogLogger(slog.NewTextHandler(s.log, nil), slog.LevelInfo),
	}
	config := gate.Config{
		Backend: func(context.Context) *gate.Backend { return s.backend.Load() },
		ErrorStatus: func(err error) int {
			if errors.Is(err, context.Canceled) {
				return 499 // as Caddy's reverse_proxy
			}
			return http.StatusBadGateway
		},
		Logger: logger,
	}
	for _, option := range options {
		option(&config)
	}
	if s.gate, err = gate.New(config); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.gate.ServeHTTP(w, r, s.forward); err != nil && r.Context().Err() == nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(s.log, nil), slog.LevelInfo)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		s.calls.Close()
		if strings.Contains(s.log.String(), "panic") {
			t.Error("something panicked")
		}
		if t.Failed() {
			t.Log(s.log)
		}
	})
	s.url = server.URL + "/messages"
	return s
}

// restart gives the site a call registry as a new process would have it.
func (s *site) restart(t *testing.T) {
	t.Helper()
	if s.calls != nil {
		s.calls.Close()
	}
	var err error
	if s.calls, err = gate.NewCallRegistry(s.journal, slog.New(slog.NewTextHandler(s.log, nil))); err != nil {
		t.Fatal(err)
	}
	s.backend.Store(&gate.Backend{Authenticator: s.authority, Limiter: s.limiter, Calls: s.calls})
}

// forward is the handler behind the gate.
func (s *site) forward(w http.ResponseWriter, r *http.Request) (err error) {
	proxy := *s.upstream
	proxy.ErrorHandler = func(_ http.ResponseWriter, _ *http.Request, e error) { err = e }
	proxy.ServeHTTP(w, r)
	return err
}

// issue makes a key of the owner's.
func (s *site) issue(t *testing.T, spec identity.KeySpec) (key string, record identity.Key) {
	t.Helper()
	return s.issueTo(t, owner, spec)
}

func (s *site) issueTo(t *testing.T, user string, spec identity.KeySpec) (key string, record identity.Key) {
	t.Helper()
	record, key, err := identity.KeyFormat{}.Issue(user, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.authority.CreateKey(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	return key, record
}

// key makes a key of the owner's without limits and scopes.
func (s *site) key(t *testing.T) string {
	t.Helper()
	key, _ := s.issue(t, identity.KeySpec{Name: "k"})
	return key
}

func (s *site) revoke(t *testing.T, record identity.Key) {
	t.Helper()
	if _, err := s.authority.RevokeKey(t.Context(), record.UserID, record.ID, time.Now(), "test"); err != nil {
		t.Fatal(err)
	}
}

// refusals returns how many requests were refused for a reason.
func (s *site) refusals(reason string) int64 {
	return s.calls.Counters().Counts().Refusals[gate.DefaultServer][reason]
}

// post sends a message under a key.
func (s *site) post(t *testing.T, key, body string) answer {
	t.Helper()
	return do(t, "POST", s.url, body, "Authorization: Bearer "+key)
}

// begin sends a message under a key, and leaves the response to the test.
func (s *site) begin(ctx context.Context, key, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", s.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	return http.DefaultClient.Do(req)
}

// startHandler starts an upstream that is one handler, and returns its address.
func startHandler(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the answer's body.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return v
}

// do sends a request; headers are "Name: value".
func do(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := try(method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(method, url, body string, headers ...string) (answer, error) {
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, rd)
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return send(req)
}

// read sends a request and reads the answer.
func read(t *testing.T, req *http.Request) answer {
	t.Helper()
	a, err := send(req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func send(req *http.Request) (answer, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

// limited fails the test unless an answer refuses a call over a limit.
func limited(t *testing.T, a answer, id, which string) {
	t.Helper()
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusTooManyRequests || err != nil || seconds < 1 || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("a call over a limit answers %d %v %s", a.status, a.header, a.body)
	}
	e, _ := a.json(t)["error"].(map[string]any)
	message, _ := e["message"].(string)
	if !strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":`+id+`,"error":`) || e["code"] != 42901.0 || !strings.HasPrefix(message, "This API key is limited to "+which+"; try again in ") {
		t.Errorf("a call over a limit answers %s", a.body)
	}
}

// logBuffer is a log in memory.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// stubAuthenticator knows one principal, or answers with an error.
type stubAuthenticator struct {
	principal *authn.Principal
	err       error
}

func (a stubAuthenticator) Authenticate(context.Context, string, netip.Addr) (*authn.Principal, *authn.Denial, error) {
	return a.principal, nil, a.err
}

func (stubAuthenticator) Watch(*authn.Watch, *authn.Principal, func()) {}
func (stubAuthenticator) Unwatch(*authn.Watch)                         {}
