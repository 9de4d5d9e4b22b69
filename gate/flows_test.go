package gate_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// TestEveryCallIsOneRow runs thousands of random calls at once, in every way that
// a result can come or fail to, and compares their rows with what the calls did.
// FLOWS sets how many, SEED which.
func TestEveryCallIsOneRow(t *testing.T) {
	n := envInt(t, "FLOWS", 3000)
	seed := envInt(t, "SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("SEED=%d", seed)
	for name, spec := range map[string]identity.KeySpec{
		"a key": {Name: "k"},
		// A call that kept its place when it has ended would soon take all of them.
		"a key with scopes and limits": {Name: "k", Scopes: []string{"*", "!none"}, Limits: identity.Limits{
			CallsPerMinute: 1_000_000, Burst: 1_000_000, CallsPerDay: 1_000_000, RecordsPerDay: 1_000_000_000, ConcurrentCalls: 150,
		}},
	} {
		t.Run(name, func(t *testing.T) { everyCallIsOneRow(t, rand.New(rand.NewPCG(uint64(seed), 0)), n/2, spec) })
	}
}

func everyCallIsOneRow(t *testing.T, rnd *rand.Rand, n int, spec identity.KeySpec) {
	t.Helper()
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	key, _ := s.issue(t, spec)
	c := gatetest.Client{URL: s.url, Key: key}

	singles, batches := gatetest.DrawFlows(rnd, n)
	all := singles
	var functions []func() error
	for _, f := range singles {
		functions = append(functions, func() error { return c.Run(f) })
	}
	for _, b := range batches {
		all = append(all, b...)
		functions = append(functions, func() error { return c.RunBatch(b) })
	}
	rnd.Shuffle(len(functions), func(i, j int) { functions[i], functions[j] = functions[j], functions[i] })
	gatetest.RunAll(t, 24, functions)
	gatetest.CheckRows(t, s.journal.Await(t, len(all)), all, u)
}

func envInt(t *testing.T, name string, fallback int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPendingCallsSurvive: calls whose results come with later requests leave
// their rows although another process takes over in between.
func TestPendingCallsSurvive(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	c := gatetest.Client{URL: s.url, Key: s.key(t)}
	var all []gatetest.Flow
	for _, name := range gatetest.FlowNames() {
		if kind, _, _ := strings.Cut(name, ", "); kind == "resumed" || kind == "task" || kind == "task 2025" || kind == "input" {
			i := len(all)
			all = append(all, gatetest.Flow{Tool: fmt.Sprintf("query_%d", i), Name: name, Table: "t", Rows: i, ID: "1", Session: fmt.Sprint("session-", i)})
		}
	}
	for _, f := range all {
		if err := c.Start(f); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	s.calls.CancelInFlight(10 * time.Second) // until the exchanges whose clients have left are done
	s.restart(t)
	for _, f := range all {
		if err := c.Finish(f); err != nil {
			t.Fatalf("%s goes on: %v", f.Name, err)
		}
	}
	gatetest.CheckRows(t, s.journal.Await(t, len(all)), all, u)
	if n := s.journal.Pending(); n != 0 {
		t.Errorf("%d calls are pending", n)
	}
}

// TestPendingRefused: a call that the journal cannot keep until its result comes
// is recorded as aborted, and its result changes nothing.
func TestPendingRefused(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	s.journal.RefusePending(errors.New("too many"))
	c := gatetest.Client{URL: s.url, Key: s.key(t)}
	for i, name := range []string{"task", "task 2025", "resumed"} {
		f := gatetest.Flow{Tool: fmt.Sprintf("query_%d", i), Name: name, Table: "t", Rows: 3, ID: "1", Session: fmt.Sprint("session-", i)}
		if err := c.Run(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range s.journal.Await(t, 3) {
		if row["outcome"] != "aborted" || row["table_name"] != "t" || row["record_count"] != nil {
			t.Errorf("the row is %v", row)
		}
	}
	if !strings.Contains(s.log.String(), "too many") {
		t.Error("the log does not say why")
	}
}
