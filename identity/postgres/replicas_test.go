package postgres

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/postgres/postgrestest"
)

// client is the address of all calls.
var client = netip.MustParseAddr("192.0.2.1")

// patience is the deadline of what has none of its own.
const patience = time.Minute

// cluster is three replicas of a gate over one database.
type cluster struct {
	t        *testing.T
	dsn      string
	server   *postgrestest.Server
	replicas [3]*authn.Authority
	user     identity.User
}

func newCluster(t *testing.T, o authn.Options) *cluster {
	c := &cluster{t: t, server: postgrestest.Start(t)}
	c.dsn = c.server.NewDatabase(t)
	for i := range c.replicas {
		s, err := Open(c.dsn)
		must(t, err)
		c.replicas[i] = authn.New(s, o)
		t.Cleanup(func() {
			if err := c.replicas[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	c.user = newUser(t)
	must(t, c.replicas[0].CreateUser(t.Context(), c.user))
	return c
}

// issue creates a key on a replica.
func (c *cluster) issue(replica int) (identity.Key, string) {
	c.t.Helper()
	record, key, err := identity.IssueKey(c.user.ID, "my key", time.Time{})
	must(c.t, err)
	must(c.t, c.replicas[replica].CreateKey(c.t.Context(), record))
	return record, key
}

func (c *cluster) want(key string, want bool) {
	c.t.Helper()
	for i, a := range c.replicas {
		if p, _, err := a.Authenticate(c.t.Context(), key, client); (p != nil) != want || err != nil {
			c.t.Errorf("replica %d: Authenticate = %t, %v, want %t", i, p != nil, err, want)
		}
	}
}

// wantSoon waits until a replica accepts or refuses a key as wanted, and returns how
// long that took.
func (c *cluster) wantSoon(replica int, key string, want bool) time.Duration {
	c.t.Helper()
	for began := time.Now(); ; {
		p, _, err := c.replicas[replica].Authenticate(c.t.Context(), key, client)
		ok := p != nil
		took := time.Since(began)
		switch {
		case err == nil && ok == want:
			return took
		case took > patience:
			c.t.Fatalf("replica %d: Authenticate = %t, %v, want %t", replica, ok, err, want)
		}
		<-time.After(time.Millisecond)
	}
}

// waitConnected waits until all replicas are notified of changes.
func (c *cluster) waitConnected() {
	c.t.Helper()
	_, key := c.issue(0)
	for began := time.Now(); ; {
		c.want(key, true)
		if !slices.ContainsFunc(c.replicas[:], func(a *authn.Authority) bool { return !a.Connected() }) {
			return
		}
		if time.Since(began) > patience {
			c.t.Fatal("the replicas are not connected")
		}
		<-time.After(time.Millisecond)
	}
}

// TestOneGate: what is done on one replica takes effect on all: a new key at once,
// and a change in much less than MaxAge where notifications work.
func TestOneGate(t *testing.T) {
	c := newCluster(t, authn.Options{})
	c.waitConnected()
	name := "renamed"
	var took []time.Duration
	for n := range 10 {
		maker, other, third := n%3, (n+1)%3, (n+2)%3
		record, key := c.issue(maker)
		c.want(key, true)

		scopes := []string{"query_*"}
		_, err := c.replicas[other].UpdateKey(t.Context(), "", record.ID, identity.KeyChange{Name: &name, Scopes: &scopes})
		must(t, err)
		for i := range c.replicas {
			for began := time.Now(); ; {
				p, _, err := c.replicas[i].Authenticate(t.Context(), key, client)
				ok := p != nil
				if !ok || err != nil {
					t.Fatal(ok, err)
				}
				if p.KeyName == name && !p.Scope.AllowsTool("default", "run_sql") {
					break
				}
				if time.Since(began) > patience {
					t.Fatalf("replica %d does not learn of the new name and scopes", i)
				}
			}
		}

		fresh, freshKey := identity.KeyFormat{}.Replacement(record)
		_, _, err = c.replicas[third].RotateKey(t.Context(), "", record.ID, fresh, time.Now().Add(time.Hour))
		must(t, err)
		c.want(key, true)
		c.want(freshKey, true)

		_, err = c.replicas[other].RevokeKey(t.Context(), "", record.ID, time.Now(), "lost")
		must(t, err)
		took = append(took, c.wantSoon(maker, key, false), c.wantSoon(third, key, false))

		must(t, c.replicas[other].SetDisabled(t.Context(), c.user.ID, true))
		took = append(took, c.wantSoon(maker, freshKey, false), c.wantSoon(third, freshKey, false))
		must(t, c.replicas[maker].SetDisabled(t.Context(), c.user.ID, false))
		for i := range c.replicas {
			c.wantSoon(i, freshKey, true)
		}
	}
	// Were it not for NOTIFY, it would take MaxAge and more. Half of them may be
	// late on a machine that is busy.
	slices.Sort(took)
	t.Logf("changes reached the others after %v at the median, %v at most", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] > authn.MaxAge/2 {
		t.Errorf("changes reached the others after %v at the median", took[len(took)/2])
	}
}

// TestWatchElsewhere: a watch ends when its key is revoked on another replica.
func TestWatchElsewhere(t *testing.T) {
	c := newCluster(t, authn.Options{})
	c.waitConnected()
	for n := range 4 {
		record, key := c.issue(0)
		ended := make(chan int, 2)
		for _, replica := range []int{0, 1} {
			p, _, err := c.replicas[replica].Authenticate(t.Context(), key, client)
			ok := p != nil
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			var watch authn.Watch
			c.replicas[replica].Watch(&watch, p, func() { ended <- replica })
			defer c.replicas[replica].Unwatch(&watch)
		}
		if n%2 == 0 {
			_, err := c.replicas[2].RevokeKey(t.Context(), "", record.ID, time.Now(), "")
			must(t, err)
		} else {
			must(t, c.replicas[2].SetDisabled(t.Context(), c.user.ID, true))
		}
		for range 2 {
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("a watch has not ended")
			}
		}
		must(t, c.replicas[2].SetDisabled(t.Context(), c.user.ID, false))
	}
}

// TestFewLookups: while a replica is notified of changes, it does not look up cached
// keys again.
func TestFewLookups(t *testing.T) {
	server := postgrestest.Start(t)
	s, err := Open(server.NewDatabase(t))
	must(t, err)
	counting := &countingStore{Store: s}
	a := authn.New(counting, authn.Options{})
	defer func() { must(t, a.Close()) }()
	u := newUser(t)
	must(t, a.CreateUser(t.Context(), u))
	record, key, err := identity.IssueKey(u.ID, "my key", time.Time{})
	must(t, err)
	must(t, a.CreateKey(t.Context(), record))
	call := func() {
		if p, _, err := a.Authenticate(t.Context(), key, client); p == nil || err != nil {
			t.Fatal(p != nil, err)
		}
	}
	for began := time.Now(); !a.Connected(); {
		if call(); time.Since(began) > patience {
			t.Fatal("the replica is not connected")
		}
	}
	// A key that was cached before that is looked up again, once.
	p, _, err := a.Authenticate(t.Context(), key, client)
	must(t, err)
	var watch authn.Watch
	a.Watch(&watch, p, func() { t.Error("the watch ended") })
	defer a.Unwatch(&watch)
	before := counting.lookups.Load()
	for began := time.Now(); time.Since(began) < 4*authn.MaxAge; {
		call()
		<-time.After(time.Millisecond)
	}
	if got := counting.lookups.Load() - before; got > 2 {
		t.Errorf("%d lookups in %v", got, 4*authn.MaxAge)
	}
}

type countingStore struct {
	*Store
	lookups atomic.Int64
}

func (s *countingStore) KeyByDigest(ctx context.Context, d identity.Digest) (identity.Key, identity.User, error) {
	s.lookups.Add(1)
	return s.Store.KeyByDigest(ctx, d)
}

// TestDatabaseDown: while the database is stopped or unreachable, cached keys work
// for StaleOK, and other keys are an error. When it is back, everything works again.
func TestDatabaseDown(t *testing.T) {
	const staleOK = 12 * time.Second
	for name, outage := range map[string]struct {
		begin, end func(*postgrestest.Server, testing.TB)
	}{
		"stopped": {(*postgrestest.Server).Stop, (*postgrestest.Server).Restart},
		"frozen":  {(*postgrestest.Server).Freeze, (*postgrestest.Server).Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, authn.Options{StaleOK: staleOK})
			_, key := c.issue(0)
			revoked, revokedKey := c.issue(0)
			_, err := c.replicas[0].RevokeKey(t.Context(), "", revoked.ID, time.Now(), "")
			must(t, err)
			c.want(key, true)
			c.want(revokedKey, false)
			c.waitConnected()
			_, unknownKey, err := identity.IssueKey(c.user.ID, "not in the store", time.Time{})
			must(t, err)

			outage.begin(c.server, t)
			began := time.Now()
			c.want(key, true)
			for i, a := range c.replicas {
				if p, _, err := a.Authenticate(t.Context(), unknownKey, client); p != nil || err == nil {
					t.Errorf("replica %d, an unknown key: %t, %v", i, p != nil, err)
				}
			}
			for _, replica := range []int{0, 2} {
				if p, _, err := c.replicas[replica].Authenticate(t.Context(), key, client); p == nil && err == nil {
					t.Error("a known key was refused as if it did not exist")
				}
			}
			for working := true; working; {
				asked := time.Now()
				p, _, err := c.replicas[1].Authenticate(t.Context(), key, client)
				ok := p != nil
				if !ok && err == nil {
					t.Fatal("a known key was refused as if it did not exist")
				}
				if working = ok; !ok && asked.Sub(began) < staleOK-2*authn.MaxAge {
					t.Errorf("a known key stopped working after %v: %v", asked.Sub(began), err)
				}
				if ok && asked.Sub(began) > staleOK+authn.MaxAge {
					t.Fatalf("a known key works for %v", asked.Sub(began))
				}
				if p, _, _ := c.replicas[1].Authenticate(t.Context(), revokedKey, client); p != nil {
					t.Error("a revoked key works")
				}
				<-time.After(20 * time.Millisecond)
			}

			outage.end(c.server, t)
			for i := range c.replicas {
				c.wantSoon(i, key, true)
				c.wantSoon(i, unknownKey, false)
				c.wantSoon(i, revokedKey, false)
			}
			again, againKey := c.issue(2)
			c.waitConnected()
			c.want(againKey, true)
			_, err = c.replicas[1].RevokeKey(t.Context(), "", again.ID, time.Now(), "")
			must(t, err)
			for i := range c.replicas {
				c.wantSoon(i, againKey, false)
			}
		})
	}
}

// TestRevokedWhileDisconnected: a replica whose connection for notifications is cut
// refuses a revoked key all the same.
func TestRevokedWhileDisconnected(t *testing.T) {
	c := newCluster(t, authn.Options{})
	c.waitConnected()
	for range 3 {
		record, key := c.issue(0)
		c.want(key, true)
		db, err := open(t, c.dsn).DB(t.Context())
		must(t, err)
		_, err = db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE '-- ping%'`)
		must(t, err)
		_, err = c.replicas[0].RevokeKey(t.Context(), "", record.ID, time.Now(), "")
		must(t, err)
		began := time.Now()
		for _, replica := range []int{1, 2} {
			c.wantSoon(replica, key, false)
		}
		if took := time.Since(began); took > 5*authn.MaxAge { // more than MaxAge is slack for a busy machine
			t.Errorf("it took %v", took)
		}
	}
}
