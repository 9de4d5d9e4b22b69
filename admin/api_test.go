package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

func TestNewRefusesShortSecrets(t *testing.T) {
	for _, n := range []int{1, MinSecret - 1} { // without any, the store's keys sign
		if _, err := New(Config{Secret: make([]byte, n)}); err == nil || !strings.Contains(err.Error(), "at least 32") {
			t.Errorf("a secret of %d bytes gives %v", n, err)
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/", "/api", "/api/", "/api/mcp-keys", "/api/mcp-keys/list/", "/api//mcp-keys/list", "/api/mcp-keys/../mcp-keys/list",
		"/API/mcp-keys/list", "/openapi", "/.well-known/oauth-authorization-server", "/messages", "/%00",
	} {
		refused(t, w.as(t, w.root, "GET", path, ""), 404, "not_found", "nothing at this path")
		refused(t, w.as(t, w.root, "POST", path, "{}"), 404, "not_found", "nothing at this path")
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t)
	for _, rt := range w.api.endpoints() {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"} {
			if method == rt.method || rt.method == "GET" && method == "HEAD" {
				continue
			}
			got := w.as(t, w.ana, method, rt.path, "")
			want := map[string]string{"GET": "GET, HEAD", "POST": "POST"}[rt.method]
			if got.status != 405 || got.header.Get("Allow") != want {
				t.Errorf("%s %s: status %d, Allow %q", method, rt.path, got.status, got.header.Get("Allow"))
			}
			if method != "HEAD" {
				refused(t, got, 405, "method_not_allowed", "this path is for "+rt.method)
			}
		}
	}
	if got := w.as(t, w.ana, "HEAD", "/api/mcp-keys/list", ""); got.status != 200 || len(got.body) != 0 {
		t.Errorf("HEAD gets %d with %q", got.status, got.body)
	}
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	create := func(header http.Header, body string) answer {
		t.Helper()
		h := http.Header{"Authorization": {"Bearer " + w.token(t, w.ana)}}
		for name, values := range header {
			h[name] = values
		}
		return w.do(t, "POST", "/api/mcp-keys/create", h, body)
	}
	const good = `{"key_name":"a"}`
	padded := func(n int) string { return good + strings.Repeat(" ", n-len(good)) }

	into[createdKey](t, create(nil, padded(maxBody)), 201)
	into[createdKey](t, create(http.Header{"Content-Type": {`Application/JSON; charset="UTF-8"`}}, good), 201)
	refused(t, create(nil, padded(maxBody+1)), 413, "body_too_large", "longer than 65536 bytes")
	refused(t, create(nil, padded(16<<20)), 413, "body_too_large", "longer than 65536 bytes")
	refused(t, create(nil, `{"key_name":`+strings.Repeat("[", maxBody-20)), 400, "invalid_request", "not valid JSON")
	for _, contentType := range [][]string{nil, {""}, {"text/plain"}, {"application/x-www-form-urlencoded"}, {"application/json, text/plain"}, {"application/jsonp"}, {"application/json;;"}} {
		refused(t, create(http.Header{"Content-Type": contentType}, good), 415, "unsupported_media_type", "Content-Type: application/json")
	}
	refused(t, create(http.Header{"Content-Type": {"application/json; charset=utf-16"}}, good), 415, "unsupported_media_type", "UTF-8")
	refused(t, create(http.Header{"Content-Encoding": {"gzip"}}, good), 415, "unsupported_media_type", "Content-Encoding")
}

// TestBodiesThatFail covers a limit on the body set in front of the API, and
// clients that close the connection.
func TestBodiesThatFail(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		body   io.Reader
		status int
		code   string
	}{
		{http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(`{"email":"ana@example.com","password":"x"}`)), 10), 413, "body_too_large"},
		{io.MultiReader(strings.NewReader(`{"email":`), brokenReader{}), 400, "invalid_request"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/auth/login", c.body)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		w.api.ServeHTTP(rec, r)
		refused(t, answer{rec.Code, rec.Header(), rec.Body.Bytes()}, c.status, c.code, "the body")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// faultyStore is a store some of whose methods fail.
type faultyStore struct {
	Store
	users, keys error // what reading users and what touching keys fails with
	hash        string
}

func (s faultyStore) Session(ctx context.Context, userID, tokenID string, epoch int64) (identity.User, error) {
	if s.users != nil {
		return identity.User{}, s.users
	}
	return s.Store.Session(ctx, userID, tokenID, epoch)
}

func (s faultyStore) UserByEmail(ctx context.Context, email string) (identity.User, error) {
	if s.users != nil {
		return identity.User{}, s.users
	}
	u, err := s.Store.UserByEmail(ctx, email)
	if s.hash != "" {
		u.PasswordHash = s.hash
	}
	return u, err
}

func (s faultyStore) Users(ctx context.Context) ([]identity.User, error) {
	if s.keys != nil {
		return nil, s.keys
	}
	return s.Store.Users(ctx)
}

func (s faultyStore) CreateKey(ctx context.Context, k identity.Key) error {
	if s.keys != nil {
		return s.keys
	}
	return s.Store.CreateKey(ctx, k)
}

func (s faultyStore) Keys(ctx context.Context, userID string) ([]identity.Key, error) {
	if s.keys != nil {
		return nil, s.keys
	}
	return s.Store.Keys(ctx, userID)
}

func (s faultyStore) RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (identity.Key, error) {
	if s.keys != nil {
		return identity.Key{}, s.keys
	}
	return s.Store.RevokeKey(ctx, userID, keyID, at, reason)
}

// faultyLedger is a ledger that cannot be read.
type faultyLedger struct {
	usage.Ledger
	err error
}

func (l faultyLedger) History(ctx context.Context, _ usage.HistoryQuery) (usage.HistoryPage, error) {
	<-doneIf(ctx, l.err)
	return usage.HistoryPage{}, errors.Join(l.err, ctx.Err())
}

func (l faultyLedger) Stats(ctx context.Context, _ usage.StatsQuery) (usage.Stats, error) {
	<-doneIf(ctx, l.err)
	return usage.Stats{}, errors.Join(l.err, ctx.Err())
}

func (l faultyLedger) Breakdown(ctx context.Context, _ usage.BreakdownQuery) ([]usage.Group, error) {
	<-doneIf(ctx, l.err)
	return nil, errors.Join(l.err, ctx.Err())
}

func (l faultyLedger) KeyCalls(ctx context.Context, _ string, _ []string, _ time.Time) (map[string]int64, error) {
	<-doneIf(ctx, l.err)
	return nil, errors.Join(l.err, ctx.Err())
}

// doneIf is closed at once when there is an error, else with the context.
func doneIf(ctx context.Context, err error) <-chan struct{} {
	if err == nil {
		return ctx.Done()
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// TestFaults: an unavailable store or ledger is a 503 without its cause, which is
// only logged.
func TestFaults(t *testing.T) {
	w := newWorld(t)
	away := errors.New("dial tcp 10.1.2.3:5432: password hunter2 refused")
	const (
		login   = `POST /api/auth/login {"email":"ana@example.com","password":"` + password + `"}`
		create  = `POST /api/mcp-keys/create {"key_name":"a"}`
		list    = `GET /api/mcp-keys/list`
		listAll = `GET /api/mcp-keys/list?user=all`
		listBen = `GET /api/mcp-keys/list?user=ben@example.com`
		revoke  = `POST /api/mcp-keys/revoke {"key_id":"0192f0c1-2345-7abc-8def-0123456789ab"}`
		history = `GET /api/mcp-usage/history`
		stats   = `GET /api/mcp-usage/stats`
	)
	for _, c := range []struct {
		store    faultyStore
		ledger   faultyLedger
		requests []string
		status   int
		code     string
		words    string
	}{
		{faultyStore{users: away}, faultyLedger{}, []string{login, create, list, revoke, history, stats}, 503, "store_unavailable", "store unavailable"},
		{faultyStore{users: context.DeadlineExceeded}, faultyLedger{}, []string{login, list}, 503, "store_unavailable", "store unavailable"},
		{faultyStore{keys: away}, faultyLedger{}, []string{create, list, listAll, listBen, revoke}, 503, "store_unavailable", "store unavailable"},
		{faultyStore{}, faultyLedger{err: away}, []string{history, stats}, 503, "ledger_unavailable", "ledger unavailable"},
		{faultyStore{hash: "no hash"}, faultyLedger{}, []string{login}, 500, "internal_error", "something went wrong"},
	} {
		c.store.Store, c.ledger.Ledger = w.store, w.ledger
		w.serve(t, c.store, c.ledger)
		for _, request := range c.requests {
			parts := append(strings.SplitN(request, " ", 3), "")
			logged := len(w.log.String())
			got := w.as(t, w.root, parts[0], parts[1], parts[2])
			refused(t, got, c.status, c.code, c.words)
			if bytes.Contains(got.body, []byte("hunter2")) || bytes.Contains(got.body, []byte("hash")) {
				t.Errorf("%s: the cause is told: %s", request, got.body)
			}
			if entry := w.log.String()[logged:]; !strings.Contains(entry, "level=ERROR") || !strings.Contains(entry, "error=") {
				t.Errorf("%s: the log says %q", request, entry)
			}
		}
	}
}

// TestAnswerTimeout: a ledger that does not answer counts as unavailable; a client
// that does not wait is not an error.
func TestAnswerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		api, err := New(Config{
			Store: onlyUser{}, Ledger: faultyLedger{}, Secret: secret,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(ctx context.Context) answer {
			token, err := api.tokens.sign(ctx, identity.User{ID: "someone"})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(ctx, "GET", "/api/mcp-usage/stats", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
		}
		begun := time.Now()
		refused(t, ask(t.Context()), 503, "ledger_unavailable", "ledger unavailable")
		if took := time.Since(begun); took != answerTimeout {
			t.Errorf("the answer took %v", took)
		}
		if !strings.Contains(log.String(), "deadline exceeded") {
			t.Errorf("the log says %q", log.String())
		}

		log.Reset()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		ask(ctx)
		if log.Len() > 0 {
			t.Errorf("a client that went away is logged: %s", log.String())
		}
	})
}

// onlyUser is a store that returns the same user for every ID.
type onlyUser struct{ Store }

func (onlyUser) Session(_ context.Context, id, _ string, _ int64) (identity.User, error) {
	return identity.User{ID: id, Role: identity.Member}, nil
}
