package clickhouse_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// faultsEnv is how many times TestPipeline goes through all faults; once when unset.
const faultsEnv = "TALLYGATE_TEST_FAULTS"

// pipeline is a gate's journal and shipper with callers that append to it all
// the time, before a database of a server that gets into trouble.
type pipeline struct {
	t        *testing.T
	server   *clickhousetest.Server
	config   string // the server's config.xml
	protocol string
	dsn      string
	shipper  *journal.Shipper
	aside    []string // tables, beside the ledger's, that hold events
}

// fault is one kind of trouble. It begins before the shipper has a ledger, and
// is over when the function returns.
type fault struct {
	name string
	do   func(p *pipeline)
	only string // a protocol; "" for both
}

var faults = []fault{
	{name: "none", do: func(p *pipeline) {
		p.use(p.dsn)
		p.await("5,000 more events", func(before, now journal.ShipperStats) bool { return now.Events >= before.Events+5_000 })
	}},
	{name: "down at start", do: func(p *pipeline) {
		p.server.Kill()
		p.use(p.dsn)
		p.awaitFailures(5)
		p.server.Restart(p.t)
	}},
	{name: "killed while inserting", do: func(p *pipeline) {
		p.use(p.dsn)
		for range 5 {
			p.awaitEvents()
			p.server.Restart(p.t)
		}
	}},
	{name: "down for a while", do: func(p *pipeline) {
		p.use(p.dsn)
		p.awaitEvents()
		p.server.Kill()
		p.awaitFailures(30)
		p.server.Restart(p.t)
	}},
	{name: "wrong password", only: "http", do: func(p *pipeline) { // the native protocol's kills the test server
		p.use(as(p.dsn, "gate", "wrong"))
		p.awaitFailures(5)
		p.use(as(p.dsn, "gate", password))
	}},
	{name: "read-only user", do: func(p *pipeline) {
		for _, user := range []string{"reader", "frozen"} {
			p.use(as(p.dsn, user, password))
			p.awaitFailures(5)
			p.use(p.dsn)
			p.awaitEvents()
		}
	}},
	{name: "quota", do: func(p *pipeline) {
		p.use(p.dsn)
		p.awaitEvents() // makes the table
		p.use(as(p.dsn, "limited", password))
		p.awaitFailures(5)
		p.use(p.dsn)
	}},
	{name: "missing table", do: func(p *pipeline) {
		p.use(p.dsn)
		for n := range 3 {
			p.awaitEvents()
			aside := fmt.Sprintf("%s.aside_%d", database(p.dsn), n)
			p.server.Query(p.t, "RENAME TABLE "+database(p.dsn)+".mcp_tool_usage_log TO "+aside)
			p.aside = append(p.aside, aside)
		}
	}},
	{name: "missing database", do: func(p *pipeline) {
		p.use(p.dsn)
		p.awaitEvents()
		p.server.Query(p.t, "RENAME DATABASE "+database(p.dsn)+" TO away")
		p.awaitFailures(5)
		p.server.Query(p.t, "RENAME DATABASE away TO "+database(p.dsn))
	}, only: "http"}, // the native protocol's unknown database kills the test server
	{name: "disk full", do: func(p *pipeline) {
		p.use(p.dsn)
		p.awaitEvents()
		p.configure("<keep_free_space_bytes>1000000000000000</keep_free_space_bytes>")
		p.awaitFailures(10)
		p.configure("")
	}},
	{name: "slow", do: func(p *pipeline) {
		proxy, through := newProxy(p.t, p.dsn, nil)
		proxy.delay.Store(int64(20 * time.Millisecond))
		p.use(through.String())
		p.awaitEvents()
		proxy.delay.Store(int64(2 * writeTimeout)) // slower than a write may be
		p.awaitFailures(1)
		proxy.delay.Store(0)
		p.awaitEvents()
		p.use(p.dsn)
	}},
	{name: "connections cut", do: func(p *pipeline) {
		proxy, through := newProxy(p.t, p.dsn, nil)
		proxy.spoil = (*link).close
		p.use(through.String())
		for _, limit := range []int64{500, 5_000, 15_000, 30_000} {
			p.awaitEvents()
			proxy.limit.Store(limit)
			p.awaitFailures(2)
			proxy.limit.Store(0)
		}
		p.use(p.dsn)
	}},
	{name: "answers lost", do: func(p *pipeline) {
		proxy, through := newProxy(p.t, p.dsn, nil)
		proxy.spoil = func(l *link) { l.mute.Store(true) }
		p.use(through.String())
		for range 3 {
			p.awaitEvents()
			proxy.limit.Store(10_000) // in the midst of a batch
			p.awaitFailures(1)
			proxy.limit.Store(0)
			proxy.cut()
		}
		p.use(p.dsn)
	}},
}

// writeTimeout bounds a write of the pipelines; it is long enough for a server
// on a busy machine.
const writeTimeout = 2 * time.Second

// TestPipeline has each fault meet a journal and its shipper under load. In the
// end every event that was appended is a row, once.
func TestPipeline(t *testing.T) {
	rounds := 1
	if n := os.Getenv(faultsEnv); n != "" {
		var err error
		if rounds, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	server, config := startConfigurable(t)
	for round := range rounds {
		for _, protocol := range protocols {
			for _, fault := range faults {
				if fault.only != "" && fault.only != protocol {
					continue
				}
				t.Run(fmt.Sprint(fault.name, " ", protocol, " ", round), func(t *testing.T) {
					p := &pipeline{t: t, server: server, config: config, protocol: protocol, dsn: newDatabase(t, server, protocol)}
					p.run(fault)
				})
			}
		}
	}
}

// startConfigurable starts a server with all users, and returns its config.xml,
// which may be changed.
func startConfigurable(t *testing.T) (server *clickhousetest.Server, config string) {
	t.Helper()
	dir := t.TempDir()
	config = filepath.Join(dir, "config.xml")
	if err := os.WriteFile(filepath.Join(dir, "users.xml"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	writeConfig(t, config, "")
	return clickhousetest.Start(t, "--config-file="+config), config
}

// writeConfig writes a config.xml, with some of its disk's settings, for the
// users.xml beside it.
func writeConfig(t *testing.T, config, disk string) {
	t.Helper()
	xml := "<clickhouse><users_config>" + filepath.Join(filepath.Dir(config), "users.xml") + "</users_config>" +
		"<storage_configuration><disks><default>" + disk + "</default></disks></storage_configuration></clickhouse>"
	if err := os.WriteFile(config, []byte(xml), 0o600); err != nil {
		t.Fatal(err)
	}
}

// configure starts the server again with these settings of its disk.
func (p *pipeline) configure(disk string) {
	p.t.Helper()
	writeConfig(p.t, p.config, disk)
	p.server.Restart(p.t)
}

// run lets the fault happen under load, and counts.
func (p *pipeline) run(f fault) {
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(p.t.TempDir(), journal.Options{Sync: journal.SyncNone, Logger: quiet})
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			p.t.Error(err)
		}
	}()
	p.shipper = journal.NewShipper(j, journal.ShipperOptions{
		BatchEvents: 500, BatchDelay: 10 * time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond,
		WriteTimeout: writeTimeout, Logger: quiet,
	})
	defer func() {
		if err := p.shipper.Close(); err != nil {
			p.t.Error(err)
		}
	}()

	load := startLoad(p.t, j)
	defer load.stop()
	f.do(p)
	p.awaitEvents()
	appended := load.stop()

	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	if err := p.shipper.Flush(ctx); err != nil {
		p.t.Fatalf("%v; the latest failure: %v", err, p.shipper.Stats().Err)
	}
	stats := p.shipper.Stats()
	if stats.Rejected != 0 || stats.Events != appended {
		p.t.Errorf("%d events appended; the shipper counts %+v", appended, stats)
	}
	p.wantEvents(appended)
	p.t.Logf("%d events, %d failures", appended, stats.Failures)
}

// wantEvents fails the test unless the rows are that many different events.
func (p *pipeline) wantEvents(appended int64) {
	p.t.Helper()
	if len(p.aside) == 0 {
		wantRows(p.t, p.server, p.dsn, int(appended))
		return
	}
	from := "SELECT event_id FROM " + database(p.dsn) + ".mcp_tool_usage_log"
	for _, table := range p.aside {
		from += " UNION ALL SELECT event_id FROM " + table
	}
	want := fmt.Sprintf("%d\t%d", appended, appended)
	if got := p.server.Query(p.t, "SELECT count(), uniqExact(event_id) FROM ("+from+")"); got != want {
		p.t.Errorf("rows and distinct events: %s, want %s", got, want)
	}
}

// use has the shipper send to another DSN, as a new config does.
func (p *pipeline) use(dsn string) { p.shipper.Use(open(p.t, dsn)) }

// await waits until the shipper's figures have changed so.
func (p *pipeline) await(what string, changed func(before, now journal.ShipperStats) bool) {
	p.t.Helper()
	before := p.shipper.Stats()
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(time.Millisecond) {
		now := p.shipper.Stats()
		if changed(before, now) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no %s after %+v, now %+v", what, before, now)
		}
	}
}

// awaitEvents waits until the ledger has taken some more events.
func (p *pipeline) awaitEvents() {
	p.t.Helper()
	p.await("more events", func(before, now journal.ShipperStats) bool { return now.Events >= before.Events+1_000 })
}

// awaitFailures waits for so many attempts more that fail.
func (p *pipeline) awaitFailures(n int64) {
	p.t.Helper()
	p.await("more failures", func(before, now journal.ShipperStats) bool { return now.Failures >= before.Failures+n })
}

// load is callers that append events to a journal.
type load struct {
	done     chan struct{}
	all      sync.WaitGroup
	once     sync.Once
	appended atomic.Int64
}

// startLoad starts callers that append some thousand events a second.
func startLoad(t *testing.T, j *journal.Journal) *load {
	l := &load{done: make(chan struct{})}
	for caller := range 4 {
		l.all.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				for _, e := range usagetest.Batch(caller+4*n, 5, 10*time.Minute).Events {
					e.ID = uuid.Must(uuid.NewV7())
					if err := j.Append(&e); err != nil {
						t.Errorf("Append: %v", err)
						return
					}
					l.appended.Add(1)
				}
				select {
				case <-tick.C:
				case <-l.done:
					return
				}
			}
		})
	}
	return l
}

// stop ends the load and returns how many events were appended.
func (l *load) stop() int64 {
	l.once.Do(func() { close(l.done) })
	l.all.Wait()
	return l.appended.Load()
}
