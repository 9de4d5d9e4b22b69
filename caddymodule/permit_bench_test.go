package caddymodule

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/sqlite"
	"github.com/tallygate/tallygate/journal"
)

// BenchmarkPermit is what it costs a call that its key is found, its scopes
// allow it, and its limits have room for it, until there is room again.
func BenchmarkPermit(b *testing.B) {
	store, err := sqlite.Open("sqlite:" + b.TempDir() + "/tallygate.db")
	if err != nil {
		b.Fatal(err)
	}
	authority := identity.NewAuthority(store, identity.Options{})
	limiter := identity.NewLimiter(authority)
	pipeline, err := openPipeline(b.TempDir(), &pipelineUser{journal: journal.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		limiter.Close()
		if err := pipeline.Close(); err != nil {
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
			backend := &backend{authority: authority, limiter: limiter, pipeline: pipeline}
			r := httptest.NewRequest("POST", "/messages", nil)
			r.Header.Set("Authorization", "Bearer "+key)
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"}))
			m := new(meter) // whose allocation is every request's
			if err := m.body.Read([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_table"}}`), false); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				m.backend, m.permits = backend, nil
				if ref := m.authorise(r); ref != nil {
					b.Fatal(ref.message, ref.cause)
				}
				if ref := m.permit(r, &m.body, time.Time{}); ref != nil {
					b.Fatal(ref.message)
				}
				p := m.nextPermit()
				p.Records(1)
				p.Release()
			}
		})
	}
}
