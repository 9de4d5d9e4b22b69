package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// batch is the n-th batch of a test; more than 360 calls reach into another
// month, and so into another partition.
func batch(n, size int) usage.Batch { return usagetest.Batch(n, size, 10*time.Second) }

// wantRows fails the test unless the table of the DSN's database holds this
// many rows, no event twice, and the roll-up counts as many.
func wantRows(t *testing.T, server *clickhousetest.Server, dsn string, want int) {
	t.Helper()
	table := database(dsn) + ".mcp_tool_usage_log"
	got := server.Query(t, "SELECT count(), uniqExact(event_id), (SELECT sum(calls) FROM (SELECT count() AS calls FROM "+table+" GROUP BY toDate32(ts))) FROM "+table)
	if want := fmt.Sprintf("%d\t%d\t%d", want, want, want); got != want {
		t.Fatalf("rows, distinct events, and calls in the roll-up: %s, want %s", got, want)
	}
}

// awaitRows waits until the table holds this many rows.
func awaitRows(t *testing.T, server *clickhousetest.Server, dsn string, want int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(5 * time.Millisecond) {
		got := server.Query(t, "SELECT count() FROM "+database(dsn)+".mcp_tool_usage_log")
		if got == strconv.Itoa(want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s rows, want %d", got, want)
		}
	}
}

// writeUntilDone writes the batch again after every error, as a shipper does,
// and returns how many errors there were.
func writeUntilDone(ctx context.Context, l usage.Ledger, b usage.Batch) (failures int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ; ; failures++ {
		err := l.Write(ctx, b)
		if err == nil || errors.Is(err, usage.ErrRejected) || ctx.Err() != nil {
			return failures, err
		}
		<-time.After(10 * time.Millisecond)
	}
}

func mustWrite(t *testing.T, l usage.Ledger, b usage.Batch) {
	t.Helper()
	if _, err := writeUntilDone(t.Context(), l, b); err != nil {
		t.Fatal(err)
	}
}

// wantTransient fails the test unless err is one after which to write again.
func wantTransient(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, usage.ErrRejected) {
		t.Fatalf("error %v, want one that does not reject the batch", err)
	}
}

// TestServerKilled sends a stored batch again after the server was killed, as a
// gate does that never saw the answer.
func TestServerKilled(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			l := open(t, dsn)
			first, second := batch(1, 1_000), batch(2, 1_000)
			mustWrite(t, l, first)
			server.Kill()
			wantTransient(t, l.Write(t.Context(), second))
			server.Restart(t)
			mustWrite(t, l, first)
			mustWrite(t, l, second)
			mustWrite(t, open(t, dsn), first)
			wantRows(t, server, dsn, 2_000)
		})
	}
}

// TestToken has the server know a batch by its token, not by its content, which
// a newer version of the program may write differently.
func TestToken(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			b := batch(1, 10)
			mustWrite(t, open(t, dsn), b)
			insert := func(token string) {
				server.Query(t, fmt.Sprintf(`INSERT INTO %s.mcp_tool_usage_log (event_id, ts)
					SETTINGS async_insert = 0, insert_deduplication_token = '%s'
					VALUES (generateUUIDv4(), '%s')`,
					database(dsn), token, usagetest.Start.Format(time.DateTime)))
			}
			insert(b.Token)
			wantRows(t, server, dsn, 10)
			insert("another")
			wantRows(t, server, dsn, 11)
		})
	}
}

// TestServerKilledWhileWriting kills the server at random moments of a run of batches.
func TestServerKilledWhileWriting(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			const batches, size, kills = 30, 500, 3
			dsn := newDatabase(t, server, protocol)
			l := open(t, dsn)
			written, failures := make(chan int), 0
			go func() {
				defer close(written)
				for n := range batches {
					failed, err := writeUntilDone(t.Context(), l, batch(n, size))
					if err != nil {
						t.Errorf("batch %d: %v", n, err)
						return
					}
					failures += failed
					written <- n
				}
			}()
			for n := range written {
				if n%(batches/kills) == batches/kills/2 {
					server.Restart(t)
				}
			}
			if failures == 0 {
				t.Error("no Write failed: no kill hit one")
			}
			wantRows(t, server, dsn, batches*size)
		})
	}
}

// TestAnswerLost has the server take a batch whose acknowledgement gets lost.
func TestAnswerLost(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			proxy, through := newProxy(t, dsn, nil)
			proxy.spoil = func(l *link) { l.mute.Store(true) }
			l := open(t, through.String())
			mustWrite(t, l, batch(0, 10))

			const size = 5_000
			proxy.limit.Store(20_000) // in the midst of the batch
			answer := make(chan error, 1)
			go func() { answer <- l.Write(t.Context(), batch(1, size)) }()
			awaitRows(t, server, dsn, 10+size)
			proxy.limit.Store(0)
			proxy.cut()
			wantTransient(t, <-answer)
			mustWrite(t, l, batch(1, size))
			wantRows(t, server, dsn, 10+size)
		})
	}
}

// TestConnectionCut cuts the connection in the midst of a batch.
func TestConnectionCut(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			proxy, through := newProxy(t, dsn, nil)
			proxy.spoil = (*link).close
			l := open(t, through.String())
			mustWrite(t, l, batch(0, 10))
			for n, limit := range []int64{1_000, 20_000, 60_000} {
				b := batch(1+n, 5_000)
				proxy.limit.Store(limit)
				wantTransient(t, l.Write(t.Context(), b))
				proxy.limit.Store(0)
				mustWrite(t, l, b)
			}
			wantRows(t, server, dsn, 10+3*5_000)
		})
	}
}

// TestSilentServer bounds every call by its context, or by the time that a
// connection may take, when nothing answers.
func TestSilentServer(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		for _, connected := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s connected %v", protocol, connected), func(t *testing.T) {
				proxy, through := newProxy(t, newDatabase(t, server, protocol), nil)
				proxy.spoil = func(l *link) { l.mute.Store(true) }
				through.RawQuery = "dial_timeout=200ms"
				l := open(t, through.String())
				if connected {
					mustWrite(t, l, batch(0, 10))
				}
				proxy.limit.Store(1)
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				wantTransient(t, l.Write(ctx, batch(1, 10)))
				_, err := l.History(ctx, usage.HistoryQuery{Page: 1, PageSize: 10})
				wantTransient(t, err)
				_, err = l.Stats(ctx, usage.StatsQuery{Days: 1, Now: usagetest.Start})
				wantTransient(t, err)
			})
		}
	}
}

const password = "s3cret/p@ss"

// users have the password, and one thing each that stands in a writer's way.
const users = `<clickhouse>
	<users>
		<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
		<gate><password>` + password + `</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></gate>
		<reader><password>` + password + `</password><networks><ip>::/0</ip></networks><profile>readonly</profile><quota>default</quota></reader>
		<frozen><password>` + password + `</password><networks><ip>::/0</ip></networks><profile>frozen</profile><quota>default</quota></frozen>
		<limited><password>` + password + `</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>byte</quota></limited>
		<inserter><password>` + password + `</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
			<grants><query>GRANT SELECT, INSERT ON *.*</query></grants></inserter>
		<blind><password>` + password + `</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
			<grants><query>GRANT INSERT ON *.*</query><query>GRANT SELECT ON test1.mcp_tool_usage_migrations</query></grants></blind>
	</users>
	<profiles><default/><readonly><readonly>2</readonly></readonly><frozen><readonly>1</readonly></frozen></profiles>
	<quotas><default/><byte><interval><duration>3600</duration><written_bytes>1</written_bytes></interval></byte></quotas>
</clickhouse>`

// as returns the DSN with a user and a password in it.
func as(dsn, user, password string) string {
	return strings.Replace(dsn, "://", "://"+url.UserPassword(user, password).String()+"@", 1)
}

// TestRefused has the server, or its absence, refuse everything. No error may
// reject the batch, nor show the password.
func TestRefused(t *testing.T) {
	server := clickhousetest.Start(t, clickhousetest.UsersConfig(t, users))
	_, http := server.NewDatabase(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	nobody := closed.Addr().String()
	for name, test := range map[string]struct{ dsn, want string }{
		"wrong password":               {as(http, "gate", "wrong-"+password), "Authentication failed"},
		"unknown user":                 {as(http, "nobody", password), "Authentication failed"},
		"unknown database":             {as(server.HTTPURL+"x", "gate", password), "defaultx"},
		"nobody listens, HTTP":         {as("http://"+nobody+"/db", "gate", password), "connection refused"},
		"nobody listens, native":       {as("clickhouse://"+nobody+"/db", "gate", password), "connection refused"},
		"no such host, HTTP":           {as("http://no-such-host.invalid:8123/db", "gate", password), "no-such-host.invalid"},
		"no such host, native":         {as("clickhouse://no-such-host.invalid/db", "gate", password), "no-such-host.invalid"},
		"no TLS there, HTTPS":          {as(strings.Replace(http, "http:", "https:", 1), "gate", password), "HTTPS"},
		"read-only user":               {as(http, "reader", password), "readonly"},
		"user without right to CREATE": {as(http, "inserter", password), "privileges"},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, test.dsn)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, historyErr := l.History(ctx, usage.HistoryQuery{Page: 1, PageSize: 10})
			_, statsErr := l.Stats(ctx, usage.StatsQuery{Days: 1, Now: usagetest.Start})
			for _, err := range []error{l.Write(ctx, batch(0, 1)), historyErr, statsErr} {
				wantTransient(t, err)
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, password) || strings.Contains(text, url.QueryEscape(password)) {
					t.Errorf("the password shows in %s", text)
				}
				if !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %q, want one about %q", err, test.want)
				}
			}
		})
	}
}

// TestLimitedUsers writes as users who may do less than all, once the table is there.
func TestLimitedUsers(t *testing.T) {
	server := clickhousetest.Start(t, clickhousetest.UsersConfig(t, users))
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			mustWrite(t, open(t, as(dsn, "gate", password)), batch(0, 10))
			// No right to CREATE is needed for a table that is there.
			mustWrite(t, open(t, as(dsn, "inserter", password)), batch(1, 10))

			limited := open(t, as(dsn, "limited", password))
			err := limited.Write(t.Context(), batch(2, 10))
			wantTransient(t, err)
			if !strings.Contains(err.Error(), "Quota") {
				t.Errorf("error %q, want one about the quota", err)
			}
			wantRows(t, server, dsn, 20)
		})
	}
}

// TestTLS puts TLS in front of the server, with a certificate that nobody signed.
func TestTLS(t *testing.T) {
	server := clickhousetest.Start(t)
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			_, through := newProxy(t, dsn, certified.TLS)
			if protocol == "http" {
				through.Scheme = "https"
			}
			through.RawQuery = "secure=true"
			err := open(t, through.String()).Write(t.Context(), batch(0, 10))
			wantTransient(t, err)
			if !strings.Contains(err.Error(), "certificate") {
				t.Errorf("error %q, want one about the certificate", err)
			}
			through.RawQuery = "secure=true&skip_verify=true"
			if err := open(t, through.String()).Write(t.Context(), batch(0, 10)); err != nil {
				t.Fatal(err)
			}
			wantRows(t, server, dsn, 10)
		})
	}
}

// TestRejected breaks a constraint that an operator put on the table: the batch
// can never be stored, and no part of it is.
func TestRejected(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			l := open(t, dsn)
			mustWrite(t, l, batch(0, 10))
			server.Query(t, "ALTER TABLE "+database(dsn)+".mcp_tool_usage_log ADD CONSTRAINT few CHECK record_count < 99")
			bad := batch(1, 100)
			if err := l.Write(t.Context(), bad); !errors.Is(err, usage.ErrRejected) {
				t.Fatalf("Write: %v, want ErrRejected", err)
			}
			wantRows(t, server, dsn, 10)
			mustWrite(t, l, usage.Batch{Token: "good half", Events: bad.Events[:99]})
			wantRows(t, server, dsn, 109)
		})
	}
}
