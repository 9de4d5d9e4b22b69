package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/identity"
)

func TestLogout(t *testing.T) {
	w := newWorld(t)
	one, other := w.login(t, w.ana.Email, password), w.login(t, w.ana.Email, password)
	if got := w.do(t, "POST", "/api/auth/logout", bearer(one), ""); got.status != 204 || len(got.body) != 0 {
		t.Errorf("logout answers %d %s", got.status, got.body)
	}
	if w.works(t, one) || !w.works(t, other) {
		t.Errorf("works: the token %t, another one %t", w.works(t, one), w.works(t, other))
	}
	refused(t, w.do(t, "POST", "/api/auth/logout", bearer(one), ""), 401, "unauthorized", "the token is not valid")
	refused(t, w.do(t, "POST", "/api/auth/logout", bearer(other), "{}"), 400, "invalid_request", "this takes none")

	if got := w.do(t, "POST", "/api/auth/sessions/end", bearer(other), ""); got.status != 204 || w.works(t, other) {
		t.Errorf("status %d, and the token works: %t", got.status, w.works(t, other))
	}
}

func TestMe(t *testing.T) {
	w := newWorld(t)
	before := time.Now().Add(time.Hour).Truncate(time.Second)
	got := into[session](t, w.do(t, "GET", "/api/auth/me", bearer(w.login(t, w.root.Email, password)), ""), 200)
	if diff := cmp.Diff(shownUser(w.root), got.userAnswer); diff != "" {
		t.Errorf("me differs:\n%s", diff)
	}
	if got.TokenExpiresAt.Before(before) || got.TokenExpiresAt.After(time.Now().Add(time.Hour)) {
		t.Errorf("the token expires at %v", got.TokenExpiresAt)
	}
}

// kidOf returns the ID of the signing key that a token names.
func kidOf(t testing.TB, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, &claims{})
	if err != nil {
		t.Fatal(err)
	}
	kid, _ := parsed.Header["kid"].(string)
	return kid
}

// TestSigningKeyRotation: two replicas over one store sign with the same key,
// which an admin can replace.
func TestSigningKeyRotation(t *testing.T) {
	w := newWorld(t)
	rotating := Config{Store: w.store, Ledger: w.ledger}
	w.serveAs(t, rotating)
	first, firstAPI := w.server, w.api
	w.serveAs(t, rotating)
	second := w.server

	old := w.login(t, w.ana.Email, password)
	w.server = first
	again := w.login(t, w.ana.Email, password)
	if kidOf(t, old) == "" || kidOf(t, old) != kidOf(t, again) {
		t.Errorf("the keys are %q and %q", kidOf(t, old), kidOf(t, again))
	}
	if !w.works(t, old) {
		t.Error("the other replica's token does not work")
	}

	w.api = firstAPI // which signs the admin's token
	if got := w.as(t, w.root, "POST", "/api/auth/signing-key/rotate", `{}`); got.status != 204 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	fresh := w.login(t, w.ana.Email, password)
	if kidOf(t, fresh) == kidOf(t, old) {
		t.Error("the key is the same")
	}
	if !w.works(t, old) || !w.works(t, fresh) {
		t.Errorf("works: the old token %t, the new one %t", w.works(t, old), w.works(t, fresh))
	}
	// The other replica learns of the new key within a second.
	w.server = second
	for deadline := time.Now().Add(30 * time.Second); !w.works(t, fresh); {
		if time.Now().After(deadline) {
			t.Fatal("the new token does not work on the other replica")
		}
	}

	w.server = first
	if got := w.as(t, w.root, "POST", "/api/auth/signing-key/rotate", `{"retire":true}`); got.status != 204 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	for name, token := range map[string]string{"old": old, "fresh": fresh} {
		refused(t, w.do(t, "GET", "/api/auth/me", bearer(token), ""), 401, "unauthorized", "the token is not valid")
		if w.works(t, token) {
			t.Errorf("the %s token works", name)
		}
	}
	if !w.works(t, w.login(t, w.ana.Email, password)) {
		t.Error("nobody can log in any more")
	}
	refused(t, w.as(t, w.root, "POST", "/api/auth/signing-key/rotate", `{"retire":"yes"}`), 400, "invalid_request", "retire must be true or false, not a string")
}

// TestFixedSigningKey: the operator's secret signs tokens, also after a restart,
// and cannot be rotated.
func TestFixedSigningKey(t *testing.T) {
	w := newWorld(t)
	token := w.login(t, w.ana.Email, password)
	w.serve(t, w.store, w.ledger)
	if !w.works(t, token) {
		t.Error("after a restart the token does not work")
	}
	refused(t, w.as(t, w.root, "POST", "/api/auth/signing-key/rotate", `{}`), 409, "signing_key_fixed", "set from outside")
	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger, Secret: []byte(strings.Repeat("another ", 4))})
	refused(t, w.do(t, "GET", "/api/auth/me", bearer(token), ""), 401, "unauthorized", "the token is not valid")
}

// TestForgedKid: a token that names an unknown signing key is never valid, and
// causes few queries of the store.
func TestForgedKid(t *testing.T) {
	w := newWorld(t)
	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger})
	good := w.login(t, w.ana.Email, password)
	key, err := w.api.keyring.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(kid any, secret []byte, change func(*claims)) string {
		var c claims
		if _, _, err := jwt.NewParser().ParseUnverified(good, &c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
		if token.Header["kid"] = kid; kid == nil {
			delete(token.Header, "kid")
		}
		s, err := token.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	same := func(*claims) {}
	if !w.works(t, sign(key.ID, key.Secret, same)) {
		t.Fatal("a token made like a good one does not work")
	}
	for name, token := range map[string]string{
		"no kid":             sign(nil, key.Secret, same),
		"empty kid":          sign("", key.Secret, same),
		"kid of no string":   sign(7, key.Secret, same),
		"unknown kid":        sign("0192f0c1-2345-7abc-8def-0123456789ab", key.Secret, same),
		"path as kid":        sign("../../dev/null", nil, same),
		"empty secret":       sign(key.ID, nil, same),
		"kid as secret":      sign(key.ID, []byte(key.ID), same),
		"no ID":              sign(key.ID, key.Secret, func(c *claims) { c.ID = "" }),
		"epoch to come":      sign(key.ID, key.Secret, func(c *claims) { c.Epoch++ }),
		"epoch gone by":      sign(key.ID, key.Secret, func(c *claims) { c.Epoch-- }),
		"another's audience": sign(key.ID, key.Secret, func(c *claims) { c.Audience = jwt.ClaimStrings{"other"} }),
	} {
		if w.works(t, token) {
			t.Errorf("%s: the token works", name)
		}
	}
}

// TestSigningKeysAway: while the store cannot be read, no token is called invalid.
func TestSigningKeysAway(t *testing.T) {
	w := newWorld(t)
	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger})
	token := w.login(t, w.ana.Email, password)
	w.serveAs(t, Config{Store: noKeys{w.store}, Ledger: w.ledger})
	refused(t, w.do(t, "GET", "/api/auth/me", bearer(token), ""), 503, "store_unavailable", "store unavailable")
	refused(t, w.do(t, "POST", "/api/auth/login", nil, `{"email":"ana@example.com","password":"`+password+`"}`), 503, "store_unavailable", "store unavailable")
}

// noKeys is a store whose signing keys cannot be read, and whose audit log cannot
// be written.
type noKeys struct{ Store }

var errAway = errors.New("dial tcp 10.1.2.3:5432: connection refused")

func (noKeys) SigningKeys(context.Context) ([]identity.SigningKey, error) { return nil, errAway }
func (noKeys) Audit(context.Context, identity.AuditEntry) error           { return errAway }

// TestUnauditedLogin: a login that cannot be recorded in the audit log fails.
func TestUnauditedLogin(t *testing.T) {
	w := newWorld(t)
	w.serve(t, noKeys{w.store}, w.ledger)
	for _, password := range []string{password, "wrong"} {
		refused(t, w.do(t, "POST", "/api/auth/login", nil, `{"email":"ana@example.com","password":"`+password+`"}`), 503, "store_unavailable", "store unavailable")
	}
}

// TestMonthlySigningKey: a key signs for a month, and its tokens stay valid after
// that.
func TestMonthlySigningKey(t *testing.T) {
	memory := signingStore{keys: map[string]identity.SigningKey{}}
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(identity.NewKeyring(memory, signingPeriod, time.Hour), time.Hour)
		sign := func() string {
			token, err := tokens.sign(t.Context(), identity.User{ID: "someone"})
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		first := sign()
		time.Sleep(signingPeriod - time.Minute)
		last := sign()
		time.Sleep(2 * time.Minute)
		next := sign()
		if kidOf(t, first) != kidOf(t, last) || kidOf(t, last) == kidOf(t, next) {
			t.Errorf("the keys are %s, %s, %s", kidOf(t, first), kidOf(t, last), kidOf(t, next))
		}
		for _, token := range []string{last, next} {
			if _, err := tokens.read(t.Context(), token); err != nil {
				t.Errorf("a token that has not expired: %v", err)
			}
		}
	})
}

// signingStore keeps signing keys in memory.
type signingStore struct {
	identity.SessionStore
	keys map[string]identity.SigningKey
}

func (s signingStore) SigningKeys(context.Context) (keys []identity.SigningKey, err error) {
	keys = slices.Collect(maps.Values(s.keys))
	slices.SortFunc(keys, func(a, b identity.SigningKey) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return keys, nil
}

func (s signingStore) AddSigningKey(_ context.Context, k identity.SigningKey, newest time.Time) (bool, error) {
	for _, other := range s.keys {
		if !other.CreatedAt.Before(newest) {
			return false, nil
		}
	}
	s.keys[k.ID] = k
	return true, nil
}

// TestThrottleOfClients: one client may not try a list of addresses.
func TestThrottleOfClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle()
		client := throttle.clients.of("192.0.2.7")
		for i := range clientAllowance.burst {
			if wait, err := client.enter(t.Context()); wait > 0 || err != nil {
				t.Fatalf("failure %d has to wait %v, %v", i, wait, err)
			}
			client.leave(true)
		}
		if wait, _ := client.enter(t.Context()); wait != clientAllowance.interval {
			t.Errorf("the wait is %v", wait)
		}
		if wait, _ := throttle.clients.of("192.0.2.8").enter(t.Context()); wait != 0 {
			t.Errorf("another client waits %v", wait)
		}
		time.Sleep(clientAllowance.interval)
		if wait, _ := client.enter(t.Context()); wait != 0 {
			t.Errorf("after the wait there is another, %v", wait)
		}
		client.leave(false)
	})
}

// TestThrottleOfAccounts: many clients may not try a list of passwords, and do not
// lock out a client that has logged in before.
func TestThrottleOfAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle()
		try := func(client string, failed bool) time.Duration {
			t.Helper()
			end, wait, err := throttle.begin(t.Context(), client+":1000", "ana@example.com")
			if err != nil {
				t.Fatal(err)
			}
			if wait == 0 {
				end(failed)
			}
			return wait
		}
		const home = "203.0.113.1"
		try(home, false)
		throttle.succeeded(home+":1000", "ana@example.com")
		for i := range accountAllowance.burst {
			if wait := try("192.0.2."+string(rune('0'+i%10))+string(rune('0'+i/10%10)), true); wait != 0 {
				t.Fatalf("failure %d has to wait %v", i, wait)
			}
		}
		if wait := try("198.51.100.1", true); wait != accountAllowance.interval {
			t.Errorf("another client waits %v", wait)
		}
		if wait := try(home, false); wait != 0 {
			t.Errorf("who has logged in before waits %v", wait)
		}
		if end, wait, err := throttle.begin(t.Context(), "198.51.100.1:1", "ben@example.com"); wait != 0 || err != nil {
			t.Errorf("another account waits %v, %v", wait, err)
		} else {
			end(false)
		}
	})
}

// TestClientThrottleOfLogins tries a list of addresses through the API.
func TestClientThrottleOfLogins(t *testing.T) {
	w := newWorld(t)
	client := w.api.throttle.clients.of("127.0.0.1")
	for range clientAllowance.burst {
		client.failures.Allow()
	}
	for {
		got := w.do(t, "POST", "/api/auth/login", nil, `{"email":"ana@example.com","password":"wrong"}`)
		if got.status == 429 {
			refused(t, got, 429, "too_many_requests", "too many failed logins from this client: try again in")
			if got.header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
			return
		}
		refused(t, got, 401, "unauthorized", "wrong email address or password") // the pace of the machine has forgiven one
	}
}

// TestNoHashIsShown: no reply about users has the hash of their password.
func TestNoHashIsShown(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/api/users/list", "/api/auth/me", "/api/audit"} {
		got := w.as(t, w.root, "GET", path, "")
		if !json.Valid(got.body) || strings.Contains(string(got.body), "argon2") {
			t.Errorf("%s answers %s", path, got.body)
		}
	}
}
