package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/admin"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// userStore answers with an error, and counts how often it is asked.
type userStore struct {
	err   error
	asked int
}

func (s *userStore) User(context.Context, string) (identity.User, error) {
	s.asked++
	return identity.User{}, s.err
}

// awayLedger takes nothing.
type awayLedger struct{ usage.Ledger }

func (awayLedger) Write(context.Context, usage.Batch) error {
	return errors.New("dial tcp: sesame-4711 refused")
}

// TestReadiness: each check fails with its own reason, which holds nothing of the
// error; a ledger that is away makes the gate unready only when the journal is full;
// a store that is away does when known keys work no longer; and the store is asked
// once a second at most.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		j, err := journal.Open(t.TempDir(), journal.Options{MaxBytes: 4 << 10, SegmentBytes: 1 << 10, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		shipper := journal.NewShipper(j, journal.ShipperOptions{Logger: slog.New(slog.DiscardHandler)})
		store := &userStore{err: identity.ErrNotFound}
		h := &health{store: store, pipeline: &pipeline{journal: j, shipper: shipper}, staleOK: time.Minute, log: log, storeAt: time.Now()}
		want := func(status string, failing ...string) {
			t.Helper()
			time.Sleep(healthMaxAge)
			for range 3 {
				got := h.readiness(t.Context())
				if got.Status != status || len(got.Checks) != 3 {
					t.Errorf("it is %+v, want %s", got, status)
				}
				for name, c := range got.Checks {
					if failed := strings.Contains(strings.Join(failing, " "), name); c.OK == failed || (c.Reason != "") != failed {
						t.Errorf("%s is %+v", name, c)
					}
				}
			}
		}
		want(admin.Ready)
		if store.asked != 1 {
			t.Errorf("the store was asked %d times in a second", store.asked)
		}
		store.err = errors.New("dial tcp: sesame-4711 refused")
		want(admin.Ready, "store")
		time.Sleep(time.Minute)
		want(admin.NotReady, "store")
		store.err = identity.ErrNotFound
		shipper.Use(awayLedger{})
		event := usagetest.Batch(0, 1, time.Second).Events[0]
		if err := j.Append(&event); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		want(admin.Ready, "ledger")
		for err == nil {
			err = j.Append(&event)
		}
		want(admin.NotReady, "ledger", "journal")
		if got := strings.Count(text.String(), "fails"); got != 3 || strings.Count(text.String(), "succeeds again") != 1 {
			t.Errorf("the log has each change once:\n%s", text.String())
		}
		reply, _ := json.Marshal(h.readiness(t.Context()))
		if strings.Contains(string(reply), "sesame-4711") {
			t.Errorf("the reply is %s", reply)
		}
		if err := errors.Join(shipper.Close(), j.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestHealth: both paths answer beside the admin API, to HEAD too, and before there
// is one.
func TestHealth(t *testing.T) {
	c := startCaddy(t, "tallygate_admin")
	for path, want := range map[string]string{
		"/healthz": `{"status":"ok"}`,
		"/readyz":  `{"status":"ready","checks":{"journal":{"ok":true},"ledger":{"ok":true},"store":{"ok":true}}}`,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			res := c.send(t, method, path, "") //nolint:bodyclose // the test closes it when it ends
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK || method == "GET" && strings.TrimSpace(string(body)) != want {
				t.Errorf("%s %s is answered %d %s, %v", method, path, res.StatusCode, body, err)
			}
		}
	}

	running := latest.Swap(nil)
	defer latest.Store(running)
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		rec := httptest.NewRecorder()
		if err := (&Admin{app: new(App)}).ServeHTTP(rec, httptest.NewRequest("GET", path, nil), nil); err != nil || rec.Code != want {
			t.Errorf("while the gate starts, %s is answered %d %s, %v", path, rec.Code, rec.Body, err)
		}
	}
	app := new(App)
	app.backend.Store(running)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{app})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ready := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "tallygate_ready" {
			for _, m := range f.GetMetric() {
				ready[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"store": 1, "ledger": 1, "journal": 1}, ready); diff != "" {
		t.Errorf("tallygate_ready (-want +got):\n%s", diff)
	}
}
