package gate_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/usage"
)

// TestUnknownIsCounted: what a row leaves null is counted by the reason.
func TestUnknownIsCounted(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	c := gatetest.Client{URL: s.url, Key: key}
	for i, name := range []string{"json", "rpc error", "rpc error", "other type", "nothing", "task, rpc error"} {
		if err := c.Run(gatetest.Flow{Tool: fmt.Sprintf("query_%d", i), Name: name, Table: "t", Rows: 3, ID: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	if a := s.post(t, key, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_sql","arguments":{"sql":"select from nothing at all","flow":"json"}}}`); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.journal.Await(t, 7)
	n := s.calls.Counters().Counts("other")
	for what, got := range map[string][2]int64{
		"records, no_result":  {n.Unknown["records"]["no_result"], 4},
		"records, unreadable": {n.Unknown["records"]["unreadable"], 1},
		"tables, no_result":   {n.Unknown["tables"]["no_result"], 0},
		"tables, sql_unread":  {n.Unknown["tables"]["sql_unread"], 1},
		"calls of others":     {n.Calls["other"]["rpc_error"] + int64(len(n.Calls["other"])), int64(len(usage.Outcomes))},
		"calls, rpc_error":    {n.Calls["default"]["rpc_error"], 3},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", what, got[0], got[1])
		}
	}
	if n := s.journal.Pending(); n != 0 {
		t.Errorf("%d calls are pending", n)
	}
}
