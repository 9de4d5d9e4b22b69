package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/tallygate/tallygate/identity"
)

var errStarting = errors.New("the database system is starting up")

// comingStore is a store that says of errStarting that it cannot be reached.
type comingStore struct{ identity.Store }

func (comingStore) Unreachable(err error) bool { return errors.Is(err, errStarting) }

// TestAwaitStore: a gate waits for a store that is still coming, for as long as it
// is told to, and not for one that refuses it.
func TestAwaitStore(t *testing.T) {
	errRefused := errors.New("password authentication failed")
	for _, test := range []struct {
		name    string
		store   identity.Store
		wait    time.Duration
		comesIn time.Duration // negative: errRefused at once
		want    string        // in the error; "" for none
		least   time.Duration // that the wait takes
	}{
		{"there", comingStore{}, time.Minute, 0, "", 0},
		{"coming", comingStore{}, time.Minute, 20 * time.Second, "", 20 * time.Second},
		{"never", comingStore{}, time.Minute, time.Hour, "could not be reached for 1m0s (store_wait): the database system is starting up", 50 * time.Second},
		{"off", comingStore{}, -1, time.Hour, "starting up", 0},
		{"refused", comingStore{}, time.Minute, -1, "password", 0},
		{"a file", nil, time.Minute, time.Hour, "starting up", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var log bytes.Buffer
				err := awaitStore(t.Context(), test.store, test.wait, slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) error {
					switch {
					case test.comesIn < 0:
						return errRefused
					case time.Since(begin) < test.comesIn:
						return errStarting
					}
					return nil
				})
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("it ends with %v, want %q", err, test.want)
				}
				if took := time.Since(begin); took < test.least || took > max(test.wait, 0) {
					t.Errorf("it waits %v, want from %v to %v", took, test.least, test.wait)
				}
				if waited := strings.Contains(log.String(), "the gate waits for it"); waited != (test.least > 0) {
					t.Errorf("the log is %s", log.String())
				}
			})
		})
	}
}

// TestAwaitStoreEnds: the end of the process ends the wait.
func TestAwaitStoreEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := awaitStore(ctx, comingStore{}, time.Hour, slog.New(slog.DiscardHandler), func(context.Context) error {
		cancel()
		return errStarting
	})
	if err == nil || !strings.Contains(err.Error(), "was ended") {
		t.Errorf("it ends with %v", err)
	}
}

// TestReloadMakesNothing: a reload with the name of a store, a ledger or a journal
// that is not there is refused, says which, makes nothing, and leaves the config in
// force.
func TestReloadMakesNothing(t *testing.T) {
	c := startCaddy(t, "tallygate_admin")
	dir := t.TempDir()
	for _, test := range []struct{ option, want string }{
		{"store sqlite:" + dir + "/typo.db", "the store's file " + dir + "/typo.db does not exist: correct its name, or stop the gate and start it"},
		{"ledger sqlite:" + dir + "/typo.db", "the ledger's file " + dir + "/typo.db does not exist"},
		{"journal " + dir + "/typo", "the journal's folder " + dir + "/typo does not exist"},
	} {
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\nadmin off\npersist_config off\ntallygate {\n"+test.option+"\n}\n}\n"+
			"http:// {\nbind unix/"+dir+"/s\ntallygate_admin\n}\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		// What the option does not name is where the test has it.
		for name, value := range map[string]string{"STORE": latest.Load().store, "LEDGER": latest.Load().ledger, "JOURNAL": latest.Load().journal} {
			t.Setenv("TALLYGATE_"+name, value)
		}
		if err := caddy.Load(adapted, true); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.option, err, test.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "typo.db")); err == nil {
			t.Errorf("%s: the file was made", test.option)
		}
		if res := c.send(t, "GET", "/healthz", ""); res.StatusCode != 200 { //nolint:bodyclose // the test closes it when it ends
			t.Errorf("%s: then the gate answers %d", test.option, res.StatusCode)
		}
	}
}
