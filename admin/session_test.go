package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
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

// attempt makes a login take as long as a password check, in the test's own time,
// and returns how long it waited before, or was told to wait.
func attempt(t *testing.T, throttle *throttle, client, email string, known, failed bool) (waited, wait time.Duration) {
	t.Helper()
	began := time.Now()
	end, wait, err := throttle.begin(t.Context(), client, email, known)
	if err != nil {
		t.Error(err)
	}
	if err != nil || wait > 0 {
		return 0, wait
	}
	waited = time.Since(began)
	time.Sleep(30 * time.Millisecond)
	end(failed)
	return waited, 0
}

// TestRightPasswordsUnderAttack: while 10,000 addresses guess, whoever logs in from
// a network that they have logged in from before, or from one without failures,
// waits for the check under way and for others like them, and for no guess.
func TestRightPasswordsUnderAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(1)
		ctx, cancel := context.WithCancel(t.Context())
		var guessers sync.WaitGroup
		for n := range 10_000 {
			guessers.Go(func() {
				for ctx.Err() == nil {
					end, wait, err := throttle.begin(ctx, fmt.Sprint("attacker ", n), fmt.Sprintf("user%d@example.com", n%100), false)
					if err == nil && wait == 0 {
						time.Sleep(30 * time.Millisecond)
						end(true)
					}
					time.Sleep(wait)
				}
			})
		}
		time.Sleep(10 * time.Minute)
		for n := range 100 {
			email := fmt.Sprintf("user%d@example.com", n)
			for client, known := range map[string]bool{"home": true, fmt.Sprint("attacker ", n): true, fmt.Sprint("new ", n): false} {
				if waited, wait := attempt(t, throttle, client, email, known, false); wait != 0 || waited > time.Second {
					t.Errorf("%s at %s: waited %v, refused for %v", email, client, waited, wait)
				}
			}
		}
		cancel()
		guessers.Wait()
	})
}

// TestFailuresBehindOneAddress: who fails on many accounts is slowed down, and
// locks nobody else out behind the same address.
func TestFailuresBehindOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(4)
		for n := range 1000 {
			if _, wait := attempt(t, throttle, "office", fmt.Sprintf("user%d@example.com", n), false, true); wait != 0 {
				t.Fatalf("failure %d is refused for %v", n, wait)
			}
		}
		for _, known := range []bool{true, false} {
			if waited, wait := attempt(t, throttle, "office", "ana@example.com", known, false); waited != 0 || wait != 0 {
				t.Errorf("known %t: waited %v, refused for %v", known, waited, wait)
			}
		}
		var g sync.WaitGroup
		began := time.Now()
		for n := range 10 { // one at a time, although four are free
			g.Go(func() { attempt(t, throttle, "office", fmt.Sprintf("other%d@example.com", n), false, true) })
		}
		g.Wait()
		if took := time.Since(began); took != 10*30*time.Millisecond {
			t.Errorf("10 attempts of a client that failed took %v", took)
		}
		time.Sleep(suspectedFor + time.Second)
		began = time.Now()
		for n := range 4 {
			g.Go(func() { attempt(t, throttle, "office", fmt.Sprintf("more%d@example.com", n), false, false) })
		}
		g.Wait()
		if took := time.Since(began); took != 30*time.Millisecond {
			t.Errorf("four attempts took %v after the failures were forgiven", took)
		}
	})
}

// TestThrottleOfAccounts: many clients may not try a list of passwords on one
// account, which refuses neither a client that has logged into it before nor one
// that has not failed.
func TestThrottleOfAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(1)
		for n := range accountAllowance.burst {
			if _, wait := attempt(t, throttle, fmt.Sprint("client ", n), "ana@example.com", false, true); wait != 0 {
				t.Fatalf("failure %d is refused for %v", n, wait)
			}
		}
		if _, wait := attempt(t, throttle, "client 1", "ana@example.com", false, true); wait <= 0 || wait > accountAllowance.interval {
			t.Errorf("one that failed is refused for %v", wait)
		}
		for client, known := range map[string]bool{"client 1": true, "home": true, "new": false} {
			if _, wait := attempt(t, throttle, client, "ana@example.com", known, false); wait != 0 {
				t.Errorf("%s is refused for %v", client, wait)
			}
		}
		if _, wait := attempt(t, throttle, "client 1", "ben@example.com", false, false); wait != 0 {
			t.Errorf("another account is refused for %v", wait)
		}
	})
}

// TestLineGivesUp: whoever gives up waiting takes nobody's turn.
func TestLineGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{free: 1}
		if err := l.enter(t.Context(), lineNew); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.enter(ctx, lineKnown); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting in vain gives %v", err)
		}
		l.leave()
		if err := l.enter(t.Context(), lineSuspected); err != nil || l.free != 0 {
			t.Errorf("the next gets %v, and %d are free", err, l.free)
		}
	})
}

// TestKnownNetworkOutlivesRestart: a network that a user has logged in from is
// known to an API that has just started.
func TestKnownNetworkOutlivesRestart(t *testing.T) {
	w := newWorld(t)
	w.login(t, w.ana.Email, password)
	restarted, err := New(Config{Store: w.store, Secret: secret, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]bool{"127.0.0.1": true, "192.0.2.7": false} {
		if got, err := restarted.hasLoggedIn(t.Context(), w.ana, network); got != want || err != nil {
			t.Errorf("%s is known: %t, %v", network, got, err)
		}
	}
	if got, err := restarted.hasLoggedIn(t.Context(), identity.User{}, "127.0.0.1"); got || err != nil {
		t.Errorf("nobody's network is known: %t, %v", got, err)
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
