package usagetest_test

import (
	"testing"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

func TestMemory(t *testing.T) {
	usagetest.Run(t, func(*testing.T) func() (usage.Ledger, error) {
		m := usagetest.NewMemory()
		return func() (usage.Ledger, error) { return m.Reopen(), nil }
	})
}
