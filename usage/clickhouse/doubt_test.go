package clickhouse_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
)

// forgetful makes the DSN's table, with one row in it, which knows no more than
// the last window parts by their tokens.
func forgetful(t *testing.T, server *clickhousetest.Server, dsn string, window int) {
	t.Helper()
	mustWrite(t, open(t, dsn), batch(1_000, 1))
	server.Query(t, fmt.Sprintf("ALTER TABLE %s.mcp_tool_usage_log MODIFY SETTING non_replicated_deduplication_window = %d", database(dsn), window))
}

// TestTokenForgotten starts a gate again so late that the server has forgotten
// its last batch, which the gate does not know to be stored.
func TestTokenForgotten(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			forgetful(t, server, dsn, 1)
			b := batch(1, 5_000) // more than one query looks up, and months
			mustWrite(t, open(t, dsn), b)
			others := open(t, dsn)
			for n := range 3 {
				mustWrite(t, others, batch(2+n, 1))
			}
			restarted := open(t, dsn)
			mustWrite(t, restarted, b)
			mustWrite(t, restarted, batch(10, 100))
			wantRows(t, server, dsn, 1+5_000+3+100)
		})
	}
}

// TestTokenForgottenInPart has one month of a batch stored and not the other,
// when the server has forgotten either.
func TestTokenForgottenInPart(t *testing.T) {
	server := clickhousetest.Start(t)
	dsn := newDatabase(t, server, "clickhouse")
	forgetful(t, server, dsn, 1)
	b := batch(1, 1_000) // 361 of them in February
	mustWrite(t, open(t, dsn), b)
	server.Query(t, "ALTER TABLE "+database(dsn)+".mcp_tool_usage_log DROP PARTITION 202603")
	mustWrite(t, open(t, dsn), batch(2, 1))
	restarted := open(t, dsn)
	mustWrite(t, restarted, b)
	wantRows(t, server, dsn, 1+1_000+1)
}

// TestTokenForgottenAfterFault loses the answer to a batch, and comes back to it
// when the server has forgotten it.
func TestTokenForgottenAfterFault(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			forgetful(t, server, dsn, 1)
			proxy, through := newProxy(t, dsn, nil)
			proxy.spoil = func(l *link) { l.mute.Store(true) }
			l := open(t, through.String())
			mustWrite(t, l, batch(0, 10))

			proxy.limit.Store(20_000) // in the midst of the batch
			answer := make(chan error, 1)
			go func() { answer <- l.Write(t.Context(), batch(1, 5_000)) }()
			awaitRows(t, server, dsn, 1+10+5_000)
			proxy.limit.Store(0)
			proxy.cut()
			wantTransient(t, <-answer)
			others := open(t, dsn)
			for n := range 3 {
				mustWrite(t, others, batch(2+n, 1))
			}
			mustWrite(t, l, batch(1, 5_000))
			wantRows(t, server, dsn, 1+10+5_000+3)
		})
	}
}

// TestLookUpIsRefused keeps a batch from going in unseen when its events cannot
// be looked for.
func TestLookUpIsRefused(t *testing.T) {
	server := clickhousetest.Start(t, clickhousetest.UsersConfig(t, users))
	dsn := newDatabase(t, server, "http")
	mustWrite(t, open(t, dsn), batch(0, 10))
	err := open(t, as(dsn, "blind", password)).Write(t.Context(), batch(0, 10))
	wantTransient(t, err)
	if !strings.Contains(err.Error(), "privileges") {
		t.Errorf("error %q, want one about privileges", err)
	}
	wantRows(t, server, dsn, 10)
}
