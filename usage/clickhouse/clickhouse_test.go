package clickhouse_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

func TestMain(m *testing.M) {
	// Each check of a property makes a database: a few are enough for a run,
	// -rapid.checks=N makes it more.
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// protocols are the two ways to a database, named by their DSNs' schemes.
var protocols = []string{"clickhouse", "http"}

// newDatabase returns the DSN of an empty database by the protocol.
func newDatabase(t testing.TB, server *clickhousetest.Server, protocol string) string {
	native, http := server.NewDatabase(t)
	if protocol == "http" {
		return http
	}
	return native
}

// open opens a ledger and closes it when the test ends.
func open(t testing.TB, dsn string) *clickhouse.Ledger {
	t.Helper()
	l, err := clickhouse.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

func TestLedger(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			server := clickhousetest.Start(t)
			usagetest.Run(t, func(t *testing.T) func() (usage.Ledger, error) {
				dsn := newDatabase(t, server, protocol)
				return func() (usage.Ledger, error) { return clickhouse.Open(dsn) }
			})
		})
	}
}
