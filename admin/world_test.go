package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	identitysqlite "github.com/tallygate/tallygate/identity/sqlite"
	"github.com/tallygate/tallygate/usage"
	usagesqlite "github.com/tallygate/tallygate/usage/sqlite"
)

const password = "correct horse battery staple"

// clientAddr is the address of the client in tests.
var clientAddr = netip.MustParseAddr("192.0.2.7")

var secret = []byte("0123456789abcdef0123456789abcdef")

// passwordHash is the hash of password, computed once because it is slow.
var passwordHash = sync.OnceValues(func() (string, error) {
	return identity.HashPassword(context.Background(), password, "")
})

// world is an API over a real store and ledger, and the people in it.
type world struct {
	users  identity.Store // that the store is in front of
	store  *authn.Authority
	ledger usage.Ledger
	api    *API
	server *httptest.Server
	log    *syncBuffer

	ana, ben, root identity.User // two users and an admin
}

// syncBuffer is a log that the server writes while a test reads it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	users, err := identitysqlite.Open("sqlite:" + filepath.Join(dir, "tallygate.db"))
	if err != nil {
		t.Fatal(err)
	}
	store := authn.New(users, authn.Options{})
	ledger, err := usagesqlite.Open("sqlite:" + filepath.Join(dir, "usage.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Close(), ledger.Close()); err != nil {
			t.Error(err)
		}
	})
	w := &world{
		users:  users,
		store:  store,
		ledger: ledger,
		log:    &syncBuffer{},
	}
	w.populate(t)
	w.serve(t, store, ledger)
	return w
}

// populate creates the users.
func (w *world) populate(t testing.TB) {
	t.Helper()
	w.ana = w.addUser(t, "ana@example.com", identity.Member)
	w.ben = w.addUser(t, "ben@example.com", identity.Member)
	w.root = w.addUser(t, "root@example.com", identity.Admin)
}

// serve starts an API over a store and a ledger, which may wrap those of the world.
func (w *world) serve(t testing.TB, store Store, ledger usage.Ledger) {
	t.Helper()
	w.serveAs(t, Config{Store: store, Ledger: ledger, Secret: secret})
}

// serveAs starts an API with a config.
func (w *world) serveAs(t testing.TB, c Config) {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	api, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.api, w.server = api, httptest.NewServer(api)
	t.Cleanup(w.server.Close)
}

func (w *world) addUser(t testing.TB, email string, role identity.Role) identity.User {
	t.Helper()
	hash, err := passwordHash()
	if err != nil {
		t.Fatal(err)
	}
	u := identity.User{
		ID: uuid.Must(uuid.NewV7()).String(), Email: email, PasswordHash: hash, Role: role,
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	if err := w.store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

// token returns a new token for u.
func (w *world) token(t testing.TB, u identity.User) string {
	t.Helper()
	u, err := w.store.User(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.api.tokens.sign(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// answer is a reply of the server.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// as sends a request as a user. A body that is not empty is sent as JSON.
func (w *world) as(t testing.TB, u identity.User, method, target, body string) answer {
	t.Helper()
	return w.do(t, method, target, http.Header{"Authorization": {"Bearer " + w.token(t, u)}}, body)
}

// do sends a request and checks what every reply must satisfy: it is as
// openapi.json describes, it has the security headers, and if it is an error,
// nothing was written.
func (w *world) do(t testing.TB, method, target string, header http.Header, body string) answer {
	t.Helper()
	before := w.rows(t)
	got := w.send(t, method, target, header, body)
	if got.status >= 400 {
		if diff := gocmp.Diff(before, w.rows(t)); diff != "" {
			t.Errorf("%s %s was refused, yet wrote:\n%s", method, target, diff)
		}
	}
	return got
}

// send is like do, but others may write at the same time.
func (w *world) send(t testing.TB, method, target string, header http.Header, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got := answer{status: resp.StatusCode, header: resp.Header}
	if got.body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}

	if method != http.MethodHead {
		checkDescribed(t, method, req.URL.Path, got)
	}
	for name, want := range map[string]string{
		"Cache-Control":           "no-store",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s %s: %s is %q, want %q", method, target, name, value, want)
		}
	}
	if (got.status == http.StatusUnauthorized) != (got.header.Get("WWW-Authenticate") != "") {
		t.Errorf("%s %s: status %d with WWW-Authenticate %q", method, target, got.status, got.header.Get("WWW-Authenticate"))
	}
	return got
}

// rows returns everything in the store and the ledger.
type rows struct {
	Users   []identity.User
	Keys    []identity.Key
	Invites []identity.Invite
	Audit   []identity.AuditEntry // failed logins aside
	Events  int64
}

func (w *world) rows(t testing.TB) (r rows) {
	t.Helper()
	var err error
	if r.Users, err = w.store.Users(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Keys, err = w.store.Keys(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if r.Invites, err = w.store.Invites(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Audit, err = w.store.AuditLog(t.Context(), identity.AuditQuery{Limit: identity.MaxAuditLimit}); err != nil {
		t.Fatal(err)
	}
	r.Audit = slices.DeleteFunc(r.Audit, func(e identity.AuditEntry) bool { return e.Action == identity.LoginFailed })
	page, err := w.ledger.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	r.Events = page.Total
	return r
}

// into decodes an answer that must have a status.
func into[T any](t testing.TB, a answer, status int) (v T) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refused checks that a reply is an error with a status, a code and a message that
// contains some words.
func refused(t testing.TB, a answer, status int, code, words string) {
	t.Helper()
	var got struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	if a.status != status || got.Error.Code != code || !strings.Contains(got.Error.Message, words) {
		t.Errorf("answer %d %s, want %d %s with %q", a.status, cmp.Or(string(a.body), "empty"), status, code, words)
	}
}
