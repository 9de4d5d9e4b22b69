package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/tallygate/tallygate/identity/postgres/postgrestest"
)

// TestStoreComesLater: a gate that starts before its PostgreSQL waits for it, ends
// at a signal meanwhile, and begins to serve when it is there.
func TestStoreComesLater(t *testing.T) {
	server := postgrestest.Start(t)
	s := startSite(t)
	s.rewrite(t, "\tgrace_period 10s\n", "\tgrace_period 10s\n\ttallygate {\n\t\tstore_wait 1h\n\t}\n")
	s.stop(t)
	s.env = append(s.env, "TALLYGATE_STORE="+server.NewDatabase(t))
	server.Stop(t)
	waits := func() {
		t.Helper()
		s.process = start(t, s.dir, s.env, "run")
		s.await(t, "the gate waits", func() bool { return strings.Contains(s.output(), "the gate waits for it") })
	}
	waits()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	waits()
	server.Restart(t)
	s.await(t, "the gate is ready", func() bool {
		res, err := http.Get(s.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	s.login(t)
	if !strings.Contains(s.output(), "the store has no user, although there is a ledger") {
		t.Error("the gate says nothing of the empty store beside a used ledger")
	}
}
