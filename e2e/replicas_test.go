package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/postgres/postgrestest"
)

// soon is how long a change may take to reach the other gates. The documented time
// is one second; the rest allows for a busy machine.
const soon = 5 * time.Second

// replicas is three gates over one PostgreSQL.
type replicas struct {
	server *postgrestest.Server
	sites  [3]*site
}

func startReplicas(t *testing.T) *replicas {
	t.Helper()
	r := &replicas{server: postgrestest.Start(t)}
	store, upstream := "TALLYGATE_STORE="+r.server.NewDatabase(t), startStock(t)
	for i := range r.sites {
		r.sites[i] = startSiteAt(t, upstream, store)
	}
	return r
}

// status returns the status of a gate's reply to a key.
func (r *replicas) status(t *testing.T, gate int, key string) int {
	t.Helper()
	return do(t, "POST", r.sites[gate].gate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+key).status
}

// want checks the status of every gate's reply now.
func (r *replicas) want(t *testing.T, what, key string, status int) {
	t.Helper()
	for gate := range r.sites {
		if got := r.status(t, gate, key); got != status {
			t.Errorf("%s: gate %d answers %d, want %d", what, gate, got, status)
		}
	}
}

// wantSoon checks that every gate replies with the status before long.
func (r *replicas) wantSoon(t *testing.T, what, key string, status int) {
	t.Helper()
	began := time.Now()
	for gate := range r.sites {
		for r.status(t, gate, key) != status {
			if time.Since(began) > soon {
				t.Fatalf("%s: after %v gate %d does not answer %d", what, soon, gate, status)
			}
		}
	}
	t.Logf("%s: %v", what, time.Since(began))
}

// TestReplicas checks that three gates over one PostgreSQL act as one: for keys,
// users, limits, the admin API and the commands.
func TestReplicas(t *testing.T) {
	r := startReplicas(t)
	s := r.sites
	jwt := s[0].login(t)
	for n := range 3 {
		maker, other := n, (n+1)%3
		key, id := s[maker].key(t, jwt, fmt.Sprintf(`{"key_name":"k%d"}`, n))
		r.want(t, "a new key", key, http.StatusOK)
		if a := do(t, "POST", s[other].admin+"/api/mcp-keys/revoke", `{"key_id":"`+id+`"}`, jwt); a.status != http.StatusOK {
			t.Fatalf("revoke: %d %s", a.status, a.body)
		}
		if got := r.status(t, other, key); got != http.StatusUnauthorized {
			t.Errorf("where it was revoked, a key is answered with %d", got)
		}
		r.wantSoon(t, "a revoked key", key, http.StatusUnauthorized)
	}

	const email = "ann@example.com"
	s[0].commandJSON(t, "a long password", "users", "add", email)
	made := s[1].commandJSON(t, "", "keys", "create", "--user", email, "--name", "by command", "--scope", "list_*")
	key, id := made["api_key"].(string), made["key_id"].(string)
	r.want(t, "a key made by a command", key, http.StatusOK)
	s[2].commandJSON(t, "", "users", "disable", email)
	r.wantSoon(t, "a disabled user's key", key, http.StatusUnauthorized)
	s[0].commandJSON(t, "", "users", "enable", email)
	r.wantSoon(t, "an enabled user's key", key, http.StatusOK)
	fresh := s[1].commandJSON(t, "", "keys", "rotate", id, "--overlap", "0")["api_key"].(string)
	r.want(t, "the new key of a rotation", fresh, http.StatusOK)
	r.wantSoon(t, "the old key of a rotation", key, http.StatusUnauthorized)
	for gate := range s {
		if a := do(t, "POST", s[gate].gate, stockCall("1", "stock_basic", 1), "Authorization: Bearer "+fresh); !strings.Contains(a.body, `"code":40302`) {
			t.Errorf("gate %d: a call outside the scopes answers %d %s", gate, a.status, a.body)
		}
	}

	const most = 30
	key = s[0].commandJSON(t, "", "keys", "create", "--user", adminEmail, "--name", "limited", "--calls-per-day", fmt.Sprint(most))["api_key"].(string)
	let := 0
	for refused := 0; refused < len(s); {
		refused = 0
		for gate := range s {
			switch a := do(t, "POST", s[gate].gate, stockCall("1", "stock_basic", 1), "Authorization: Bearer "+key); a.status {
			case http.StatusOK:
				let++
			case http.StatusTooManyRequests:
				refused++
			default:
				t.Fatalf("gate %d answers %d %s", gate, a.status, a.body)
			}
		}
		if let > most {
			t.Fatalf("of a limit of %d calls a day, the three let in more", most)
		}
	}
	// Each gate may hold a lease that the others lack.
	if let < most-len(s) {
		t.Errorf("of a limit of %d calls a day, the three let in %d", most, let)
	}
}

// TestReplicasWithoutStore checks that while PostgreSQL is stopped known keys work
// and unknown ones are answered with 503, and that everything recovers when it is
// started again.
func TestReplicasWithoutStore(t *testing.T) {
	r := startReplicas(t)
	s := r.sites
	key, id := s[0].key(t, s[0].login(t), `{"key_name":"k"}`)
	limited := s[0].commandJSON(t, "", "keys", "create", "--name", "limited", "--calls-per-minute", "6000", "--scope", "query_*")["api_key"].(string)
	r.want(t, "a known key", key, http.StatusOK)
	r.want(t, "a known key with limits", limited, http.StatusOK)
	strict := startSiteAt(t, startStock(t), s[0].env[len(s[0].env)-1])
	strict.rewrite(t, "\tgrace_period 10s\n", "\tgrace_period 10s\n\ttallygate {\n\t\tstale_ok off\n\t}\n")
	if !strict.works(t, key) {
		t.Error("a gate with stale_ok off refuses a live key")
	}
	unknown, _, _ := identity.KeyFormat{}.NewKey()
	fresh := s[0].commandJSON(t, "", "keys", "create", "--name", "not used yet")["api_key"].(string)

	r.server.Stop(t)
	// Longer than a cached key is trusted while the store is available.
	for began := time.Now(); time.Since(began) < 3*authn.MaxAge; {
		r.want(t, "without the store, a known key", key, http.StatusOK)
	}
	if a := do(t, "POST", strict.gate, stockCall("1", "stock_basic", 1), "Authorization: Bearer "+key); a.status != http.StatusServiceUnavailable {
		t.Errorf("without the store, a gate with stale_ok off answers a known key %d %s", a.status, a.body)
	}
	for gate := range s {
		if a := do(t, "POST", s[gate].gate, stockCall("1", "stock_basic", 1), "Authorization: Bearer "+limited); a.status != http.StatusOK || !strings.Contains(a.body, "row_count") {
			t.Errorf("without the store, gate %d answers a call of a key with limits %d %s", gate, a.status, a.body)
		}
		for _, key := range []string{unknown, fresh} {
			a := do(t, "POST", s[gate].gate, stockCall("1", "stock_basic", 1), "Authorization: Bearer "+key)
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":"1","error":{"code":50301,`) {
				t.Errorf("without the store, gate %d answers a key that it does not know %d %s", gate, a.status, a.body)
			}
		}
		if got := r.status(t, gate, key[:20]+swap(key[20])+key[21:]); got != http.StatusUnauthorized {
			t.Errorf("without the store, gate %d answers a mistyped key %d", gate, got)
		}
	}

	r.server.Restart(t)
	eventually(t, "the gates to find the store again", func() bool {
		for gate := range s {
			if r.status(t, gate, fresh) != http.StatusOK {
				return false
			}
		}
		return true
	})
	r.want(t, "with the store again, a known key", key, http.StatusOK)
	r.want(t, "with the store again, a key that does not exist", unknown, http.StatusUnauthorized)
	s[1].commandJSON(t, "", "keys", "revoke", id)
	r.wantSoon(t, "with the store again, a revoked key", key, http.StatusUnauthorized)
	next := s[2].commandJSON(t, "", "keys", "create", "--name", "after")["api_key"].(string)
	r.want(t, "with the store again, a new key", next, http.StatusOK)
}
