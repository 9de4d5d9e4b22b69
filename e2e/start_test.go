package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
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

// TestExposedUpstream: a gate with a Caddyfile warns of an MCP server that listens on
// all addresses of the machine, if it has any but loopback.
func TestExposedUpstream(t *testing.T) {
	port := freePort(t)
	stock := start(t, t.TempDir(), nil, "stockmcp", "--listen", fmt.Sprintf(":%d", port))
	address := fmt.Sprintf("127.0.0.1:%d", port)
	stock.await(t, "the stock server listens", func() bool { return listening(address) })
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(addresses, func(a net.Addr) bool {
		ip, _, err := net.ParseCIDR(a.String())
		return err == nil && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
	}) {
		return
	}
	s := startSiteAt(t, address)
	s.await(t, "a warning", func() bool { return strings.Contains(s.output(), "the MCP server can be reached without the gate") })
}
