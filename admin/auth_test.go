package admin

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/identity"
)

// TestRejectedLogins: whatever is wrong with a login, the answer is the same.
func TestRejectedLogins(t *testing.T) {
	w := newWorld(t)
	if err := w.store.SetDisabled(t.Context(), w.ben.ID, true); err != nil {
		t.Fatal(err)
	}
	var first answer
	for i, body := range []string{
		`{"email":"ana@example.com","password":"wrong"}`,
		`{"email":"nobody@example.com","password":"` + password + `"}`,
		`{"email":"ben@example.com","password":"` + password + `"}`,
		`{"email":"ben@example.com","password":"wrong"}`,
		`{"email":"ana@example.com","password":"` + strings.ToUpper(password) + `"}`,
		`{"email":"ana@example.com","password":"` + password + ` "}`,
		`{"email":"ana@example.com","password":"` + strings.Repeat("x", 5000) + `"}`,
		`{"email":"nobody@example.com","password":"` + strings.Repeat("x", 5000) + `"}`,
	} {
		got := w.do(t, "POST", "/api/auth/login", nil, body)
		refused(t, got, 401, "unauthorized", "wrong email address or password")
		got.header.Del("Date")
		if i == 0 {
			first = got
		}
		if diff := cmp.Diff(first, got, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s is answered differently:\n%s", body, diff)
		}
	}
}

func TestMalformedLogins(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ body, words string }{
		{``, "the body is empty: send a JSON object with email and password"},
		{`{"email":"ana@example.com"}`, "password is missing"},
		{`{"password":"x"}`, "email is missing"},
		{`{"email":"","password":"x"}`, "email is empty"},
		{`{"email":"ana@example.com","password":""}`, "password is empty"},
		{`{"email":"ana@example.com","password":null}`, "password must be a string, not null"},
		{`{"email":["ana@example.com"],"password":"x"}`, "email must be a string, not an array"},
		{`{"email":"ana","password":"x"}`, "email: the email address is not valid"},
		{`{"email":"Ana <ana@example.com>","password":"x"}`, "email: the email address is not valid"},
		{`{"email":"ana@example.com","password":"x","remember":true}`, `unknown field "remember": the fields are email and password`},
		{`email=ana@example.com`, "not valid JSON at byte 1"},
	} {
		refused(t, w.do(t, "POST", "/api/auth/login", nil, c.body), 400, "invalid_request", c.words)
	}
	refused(t, w.do(t, "POST", "/api/auth/login?next=x", nil, `{}`), 400, "invalid_request", `unknown query parameter "next": there are none here`)
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	claims := func(change jwt.MapClaims) jwt.MapClaims {
		c := jwt.MapClaims{
			"iss": "tallygate", "aud": "tallygate-admin", "sub": w.ana.ID, "jti": uuid.NewString(), "epoch": 0,
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		}
		maps.Copy(c, change)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return c
	}
	kid, err := w.api.keyring.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(m jwt.SigningMethod, key any, change jwt.MapClaims) string {
		t.Helper()
		token := jwt.NewWithClaims(m, claims(change))
		token.Header["kid"] = kid.ID
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	good := sign(jwt.SigningMethodHS256, secret, nil)
	parts := strings.Split(good, ".")
	admin := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"tallygate","aud":"tallygate-admin","sub":"` + w.root.ID + `","exp":99999999999}`))

	// The last character of a signature of 32 bytes has two bits to spare.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	loose := good[:len(good)-1] + string(alphabet[strings.IndexByte(alphabet, good[len(good)-1])+1])

	if got := w.do(t, "GET", "/api/mcp-keys/list", http.Header{"Authorization": {"bearer " + good}}, ""); got.status != 200 {
		t.Fatalf("a good token gets %d: %s", got.status, got.body)
	}
	for name, token := range map[string]string{
		"alg none":               sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"HS384":                  sign(jwt.SigningMethodHS384, secret, nil),
		"HS512":                  sign(jwt.SigningMethodHS512, secret, nil),
		"RS256":                  sign(jwt.SigningMethodRS256, rsaKey, nil),
		"HS256 with a PEM":       sign(jwt.SigningMethodHS256, publicPEM, nil),
		"another secret":         sign(jwt.SigningMethodHS256, []byte("another secret, just as long ....."), nil),
		"empty secret":           sign(jwt.SigningMethodHS256, []byte{}, nil),
		"no exp":                 sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"exp": nil}),
		"not yet":                sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()}),
		"wrong issuer":           sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"iss": "other"}),
		"no issuer":              sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"iss": nil}),
		"wrong audience":         sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"aud": "other"}),
		"no audience":            sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"aud": nil}),
		"unknown user":           sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": uuid.NewString()}),
		"email as user":          sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": w.ana.Email}),
		"no user":                sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": nil}),
		"number as user":         sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": 7}),
		"no signature":           parts[0] + "." + parts[1] + ".",
		"payload exchanged":      parts[0] + "." + admin + "." + parts[2],
		"signature of the other": parts[0] + "." + parts[1] + "." + strings.Split(sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": w.ben.ID}), ".")[2],
		"two parts":              parts[0] + "." + parts[1],
		"four parts":             good + ".x",
		"padded":                 good + "=",
		"bits to spare set":      loose,
		"garbage":                "garbage",
		"API key":                "sk-" + strings.Repeat("a", 49),
		"empty":                  "",
		"spaces before":          "  " + good,
		"words after":            good + " x",
	} {
		got := w.do(t, "GET", "/api/mcp-keys/list", http.Header{"Authorization": {"Bearer " + token}}, "")
		if got.status != 401 {
			t.Errorf("%s: status %d", name, got.status)
			continue
		}
		refused(t, got, 401, "unauthorized", "the token is not valid")
	}
	expired := sign(jwt.SigningMethodHS256, secret, jwt.MapClaims{"exp": time.Now().Unix() - 1})
	refused(t, w.do(t, "GET", "/api/mcp-keys/list", http.Header{"Authorization": {"Bearer " + expired}}, ""), 401, "unauthorized", "the token has expired")
	for name, header := range map[string]http.Header{
		"no header":    nil,
		"empty":        {"Authorization": {""}},
		"no scheme":    {"Authorization": {good}},
		"other scheme": {"Authorization": {"Basic " + good}},
		"twice":        {"Authorization": {"Bearer " + good, "Bearer " + good}},
		"cookie":       {"Cookie": {"access_token=" + good}},
	} {
		for _, path := range []string{"/api/mcp-keys/list", "/api/mcp-usage/history", "/api/mcp-usage/stats"} {
			got := w.do(t, "GET", path, header, "")
			if got.status != 401 {
				t.Errorf("%s: status %d", name, got.status)
			}
			refused(t, got, 401, "unauthorized", "log in first")
		}
		for _, path := range []string{"/api/mcp-keys/create", "/api/mcp-keys/revoke"} {
			refused(t, w.do(t, "POST", path, header, `{"key_name":"a"}`), 401, "unauthorized", "log in first")
		}
	}
}

// TestDisabledUser: disabling a user ends their token for good; once the user is
// enabled, a new one works.
func TestDisabledUser(t *testing.T) {
	w := newWorld(t)
	old := w.token(t, w.ana)
	list := func(token string) answer {
		return w.do(t, "GET", "/api/mcp-keys/list", http.Header{"Authorization": {"Bearer " + token}}, "")
	}
	for _, disabled := range []bool{false, true, false} {
		if err := w.store.SetDisabled(t.Context(), w.ana.ID, disabled); err != nil {
			t.Fatal(err)
		}
		if got := list(w.token(t, w.ana)); disabled {
			refused(t, got, 401, "unauthorized", "the token is not valid")
		} else if got.status != 200 {
			t.Errorf("status %d: %s", got.status, got.body)
		}
	}
	refused(t, list(old), 401, "unauthorized", "the token is not valid")
}

func TestTokenLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(identity.FixedKeyring(secret), time.Minute)
		token, err := tokens.sign(t.Context(), identity.User{ID: "someone"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if c, err := tokens.read(t.Context(), token); c.Subject != "someone" || err != nil {
			t.Errorf("after 59 s the token is for %q, %v", c.Subject, err)
		}
		time.Sleep(time.Second)
		if _, err := tokens.read(t.Context(), token); err == nil || err.Error() != tokenExpired {
			t.Errorf("after 60 s the token gives %v", err)
		}
	})
}

// TestThrottle: after ten failures no attempt is allowed until the time is over;
// other accounts are not affected. In the synctest bubble a password check takes
// no time.
func TestThrottle(t *testing.T) {
	hash, err := passwordHash()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		api, err := New(Config{Store: people{hashes: map[string]string{"ana@example.com": hash, "ben@example.com": hash}}, Secret: secret, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		login := func(email, password string) answer {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/auth/login",
				strings.NewReader(fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)))
			r.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			got := answer{rec.Code, rec.Header(), rec.Body.Bytes()}
			checkDescribed(t, "POST", "/api/auth/login", got)
			return got
		}
		for range 2 * failureBurst {
			into[loginAnswer](t, login("ana@example.com", password), 200)
		}
		for _, email := range []string{"ana@example.com", "nobody@example.com"} {
			for range failureBurst {
				refused(t, login(email, "wrong"), 401, "unauthorized", "wrong email address or password")
			}
			for _, spelling := range []string{email, " " + strings.ToUpper(email)} {
				got := login(spelling, password)
				refused(t, got, 429, "too_many_requests", "too many failed logins for this email address: try again in 6 seconds")
				if wait := got.header.Get("Retry-After"); wait != "6" {
					t.Errorf("Retry-After is %q", wait)
				}
			}
		}
		into[loginAnswer](t, login("ben@example.com", password), 200)

		end, _, err := api.throttle.begin(t.Context(), "192.0.2.1", "ben@example.com", false) // httptest's client
		if err != nil {
			t.Fatal(err)
		}
		refused(t, login("ben@example.com", password), 503, "busy", "too many logins at once")
		end(false)
		into[loginAnswer](t, login("ben@example.com", password), 200)

		time.Sleep(failureInterval)
		into[loginAnswer](t, login("ana@example.com", password), 200)
	})
}

// people is a store of users who can log in: their hashes by address.
type people struct {
	Store
	hashes map[string]string
}

func (p people) UserByEmail(_ context.Context, email string) (identity.User, error) {
	hash, known := p.hashes[email]
	if !known {
		return identity.User{}, identity.ErrNotFound
	}
	return identity.User{ID: email, Email: email, PasswordHash: hash}, nil
}

func (people) Audit(context.Context, identity.AuditEntry) error { return nil }

func (people) AuditLog(context.Context, identity.AuditQuery) ([]identity.AuditEntry, error) {
	return nil, nil
}

func TestThrottleForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(1)
		try := func(client string, failed bool) time.Duration {
			t.Helper()
			end, wait, err := throttle.begin(t.Context(), client, "ana@example.com", false)
			if err != nil {
				t.Fatal(err)
			}
			if wait == 0 {
				end(failed)
			}
			return wait
		}
		for i := range failureBurst {
			if wait := try("192.0.2.7", true); wait != 0 {
				t.Fatalf("failure %d has to wait %v", i, wait)
			}
			try("192.0.2.7", false)
		}
		if wait := try("192.0.2.7", true); wait != failureInterval {
			t.Errorf("the wait is %v", wait)
		}
		if wait := try("192.0.2.8", true); wait != 0 {
			t.Errorf("another client waits %v", wait)
		}
		time.Sleep(failureInterval - time.Second)
		if wait := try("192.0.2.7", true); wait <= 0 || wait > time.Second+time.Millisecond {
			t.Errorf("the wait is still %v", wait)
		}
		time.Sleep(time.Second)
		if wait := try("192.0.2.7", true); wait != 0 {
			t.Errorf("after the wait there is another, %v", wait)
		}
		if wait := try("192.0.2.7", true); wait == 0 {
			t.Error("one wait bought two tries")
		}
	})
}

// TestThrottleHoldsAtOnce: guesses made in parallel cannot exceed the limit because
// none has failed yet, and correct passwords all pass.
func TestThrottleHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(1)
		for _, failed := range []bool{false, true} {
			var g errgroup.Group
			passed := make(chan struct{}, 100)
			for range cap(passed) {
				g.Go(func() error {
					end, wait, err := throttle.begin(t.Context(), "192.0.2.7", "ana@example.com", false)
					if err != nil || wait > 0 {
						return err
					}
					time.Sleep(30 * time.Millisecond) // a password check, in the test's own time
					passed <- struct{}{}
					end(failed)
					return nil
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			want := cap(passed)
			if failed {
				want = failureBurst
			}
			if len(passed) != want {
				t.Errorf("failed %t: %d passed, want %d", failed, len(passed), want)
			}
		}

		end, _, err := throttle.begin(t.Context(), "192.0.2.9", "ana@example.com", false)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := throttle.begin(ctx, "192.0.2.9", "ana@example.com", false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for one's turn in vain gives %v", err)
		}
		end(false)
	})
}

func TestClientNetwork(t *testing.T) {
	for remoteAddr, want := range map[string]string{
		"192.0.2.7:1000":                "192.0.2.7",
		"[::ffff:192.0.2.7]:1000":       "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1000":   "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:1000":   "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1000":           "fe80::/64",
		"@":                             "@",
		"/run/tallygate.sock":           "/run/tallygate.sock",
		"[2001:db8:1:3:ffff::1]:443":    "2001:db8:1:3::/64",
		"[0:0:0:0:0:0:0:1]:1":           "::/64",
		"127.0.0.1:65535":               "127.0.0.1",
		"[2001:db8:1:2:3:4:5:6%1]:1000": "2001:db8:1:2::/64",
	} {
		if got := clientNetwork(remoteAddr); got != want {
			t.Errorf("%s is of %s, want %s", remoteAddr, got, want)
		}
	}
}

// BenchmarkLogin shows that a login takes the same time for every kind of failure.
func BenchmarkLogin(b *testing.B) {
	w := newWorld(b)
	if err := w.store.SetDisabled(b.Context(), w.ben.ID, true); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, email, password string
		known                 bool
	}{
		{"right", w.ana.Email, password, true},
		{"wrong password", w.ana.Email, "wrong password", false},
		{"unknown address", "nobody@example.com", password, false},
		{"disabled user", w.ben.Email, password, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				u, missing := w.store.UserByEmail(b.Context(), c.email)
				if known, err := mayLogIn(b.Context(), u, missing == nil, c.password); known != c.known || err != nil {
					b.Fatalf("known %t, %v", known, err)
				}
			}
		})
	}
}
