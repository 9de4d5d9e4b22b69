package sqlite

import (
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
)

// The Authority over the real store, in synctest bubbles.

// client is the address of all calls.
var client = netip.MustParseAddr("192.0.2.1")

type gate struct {
	t         *testing.T
	path      string
	here      *authn.Authority
	elsewhere *Store // another process's store on the same file
	user      identity.User
	record    identity.Key
	key       string
}

func inBubble(t *testing.T, test func(*testing.T, *gate)) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "tallygate.db")
	synctest.Test(t, func(t *testing.T) {
		g := &gate{t: t, path: path, here: authn.New(open(t, path), authn.Options{}), elsewhere: open(t, path)}
		t.Cleanup(func() {
			if err := g.here.Close(); err != nil {
				t.Error(err)
			}
		})
		g.user = newUser(t)
		must(t, g.here.CreateUser(t.Context(), g.user))
		var err error
		g.record, g.key, err = identity.IssueKey(g.user.ID, "my key", time.Time{})
		must(t, err)
		must(t, g.here.CreateKey(t.Context(), g.record))
		test(t, g)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (g *gate) want(want bool) *authn.Principal {
	g.t.Helper()
	p, _, err := g.here.Authenticate(g.t.Context(), g.key, client)
	ok := p != nil
	if err != nil || ok != want {
		g.t.Errorf("Authenticate = %t, %v, want %t", ok, err, want)
	}
	return p
}

func TestRevokedHere(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		p := g.want(true)
		if p.UserEmail != "ann@example.com" || p.UserID != g.user.ID || p.KeyID != g.record.ID || p.KeyName != "my key" {
			t.Errorf("Authenticate = %+v", p)
		}
		must(t, g.here.SetDisabled(t.Context(), g.user.ID, true))
		g.want(false)
		must(t, g.here.SetDisabled(t.Context(), g.user.ID, false))
		g.want(true)
		_, err := g.here.RevokeKey(t.Context(), g.user.ID, g.record.ID, time.Now(), "a reason")
		must(t, err)
		g.want(false)
	})
}

func TestRevokedElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		dead := make(chan struct{})
		g.here.Watch(new(authn.Watch), g.want(true), func() { close(dead) })
		_, err := g.elsewhere.RevokeKey(t.Context(), "", g.record.ID, time.Now(), "a reason")
		must(t, err)
		time.Sleep(authn.MaxAge)
		g.want(false)
		synctest.Wait()
		select {
		case <-dead:
		default:
			t.Error("the watch has not ended")
		}
	})
}

func TestDisabledElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		for _, disabled := range []bool{true, false, true} {
			g.want(disabled) // it was the other way round
			must(t, g.elsewhere.SetDisabled(t.Context(), g.user.ID, disabled))
			time.Sleep(authn.MaxAge)
			g.want(!disabled)
		}
	})
}

func TestCreatedElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		record, key, err := identity.IssueKey(g.user.ID, "another", time.Now().Add(time.Minute))
		must(t, err)
		g.key = key
		g.want(false)
		must(t, g.elsewhere.CreateKey(t.Context(), record))
		time.Sleep(authn.MaxAge) // it is remembered as unknown
		g.want(true)
		time.Sleep(time.Minute)
		g.want(false)
	})
}

// TestChangedByHand: a change made by SQL is reported, too.
func TestChangedByHand(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		g.want(true)
		time.Sleep(authn.MaxAge) // until it is listening
		g.want(true)
		db, err := g.elsewhere.DB(t.Context())
		must(t, err)
		_, err = db.ExecContext(t.Context(), `UPDATE keys SET revoked_at = 1 WHERE id = $1`, g.record.ID)
		must(t, err)
		time.Sleep(authn.MaxAge)
		g.want(false)
		_, err = db.ExecContext(t.Context(), `UPDATE keys SET revoked_at = NULL WHERE id = $1`, g.record.ID)
		must(t, err)
		time.Sleep(authn.MaxAge)
		g.want(true)
		_, err = db.ExecContext(t.Context(), `DELETE FROM keys WHERE id = $1`, g.record.ID)
		must(t, err)
		time.Sleep(authn.MaxAge)
		g.want(false)
	})
}

// TestRevokedUnderLoad: keys are revoked while concurrent callers use all of them. A
// call that begins after its key was revoked is refused, and none before.
func TestRevokedUnderLoad(t *testing.T) {
	a := authn.New(open(t, newDSN(t)), authn.Options{})
	defer func() { must(t, a.Close()) }()
	u := newUser(t)
	must(t, a.CreateUser(t.Context(), u))
	const keys = 50
	var secrets [keys]string
	var records [keys]identity.Key
	for i := range keys {
		var err error
		records[i], secrets[i], err = identity.IssueKey(u.ID, "key", time.Time{})
		must(t, err)
		must(t, a.CreateKey(t.Context(), records[i]))
	}
	var revoking, revoked [keys]atomic.Bool
	var done atomic.Bool
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			for i := n; !done.Load(); i = (i + 1) % keys {
				before := revoked[i].Load()
				p, _, err := a.Authenticate(t.Context(), secrets[i], client)
				ok := p != nil
				if err != nil || ok && before || !ok && !revoking[i].Load() {
					t.Errorf("Authenticate = %t, %v; revoked before: %t", ok, err, before)
					return
				}
			}
		})
	}
	for i := range keys {
		revoking[i].Store(true)
		_, err := a.RevokeKey(t.Context(), u.ID, records[i].ID, time.Now(), "a reason")
		must(t, err)
		revoked[i].Store(true)
	}
	done.Store(true)
	callers.Wait()
}
