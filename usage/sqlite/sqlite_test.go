package sqlite_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/sqlite"
	"github.com/tallygate/tallygate/usage/usagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLedger(t *testing.T) {
	usagetest.Run(t, func(t *testing.T) func() (usage.Ledger, error) {
		dsn := "sqlite:" + filepath.Join(t.TempDir(), "data", "usage.db")
		return func() (usage.Ledger, error) { return sqlite.Open(dsn) }
	})
}
