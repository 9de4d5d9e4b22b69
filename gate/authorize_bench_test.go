package gate

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/identity/sqlite"
	"github.com/tallygate/tallygate/journal"
)

// BenchmarkAuthorize measures what a call costs to be authenticated, authorized
// and admitted, until its permit is released.
func BenchmarkAuthorize(b *testing.B) {
	store, err := sqlite.Open("sqlite:" + b.TempDir() + "/tallygate.db")
	if err != nil {
		b.Fatal(err)
	}
	authority := authn.New(store, authn.Options{})
	limiter := quota.NewLimiter(authority)
	journal, err := journal.Open(b.TempDir(), journal.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	calls, err := NewCallRegistry(journal, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	gate, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		limiter.Close()
		if err := journal.Close(); err != nil {
			b.Error(err)
		}
		if err := authority.Close(); err != nil {
			b.Error(err)
		}
	})
	user, err := identity.NewUser(b.Context(), "ann@example.com", "a long password", identity.Member)
	if err != nil {
		b.Fatal(err)
	}
	if err := authority.CreateUser(b.Context(), user); err != nil {
		b.Fatal(err)
	}
	limits := identity.Limits{CallsPerMinute: 1_000_000_000, Burst: 1_000_000, CallsPerDay: 1_000_000_000, RecordsPerDay: 1_000_000_000, ConcurrentCalls: 100}
	for _, c := range []struct {
		name string
		spec identity.KeySpec
	}{
		{"plain", identity.KeySpec{Name: "k"}},
		{"scopes", identity.KeySpec{Name: "k", Scopes: []string{"list_*", "query_*", "!query_secret_*", "!run_*"}}},
		{"limits", identity.KeySpec{Name: "k", Limits: limits}},
		{"scopes and limits", identity.KeySpec{Name: "k", Scopes: []string{"list_*", "query_*", "!query_secret_*", "!run_*"}, Limits: limits}},
	} {
		b.Run(c.name, func(b *testing.B) {
			record, key, err := identity.KeyFormat{}.Issue(user.ID, c.spec)
			if err != nil {
				b.Fatal(err)
			}
			if err := authority.CreateKey(b.Context(), record); err != nil {
				b.Fatal(err)
			}
			backend := &Backend{Authenticator: authority, Limiter: limiter, Calls: calls}
			r := httptest.NewRequest("POST", "/messages", nil)
			r.Header.Set("Authorization", "Bearer "+key)
			x := &exchange{gate: gate, backend: backend} // whose allocation is every request's
			if err := x.body.Read([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_table"}}`), false); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				x.permits = nil
				if x.identify(r); x.principal == nil {
					b.Fatal(x.denied)
				}
				if ref := x.authorize(r); ref != nil {
					b.Fatal(ref.message)
				}
				if ref := x.admit(b.Context()); ref != nil {
					b.Fatal(ref.message)
				}
				p := x.nextPermit()
				p.Records(1)
				p.Release()
			}
		})
	}
}
