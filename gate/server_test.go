package gate_test

import (
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
)

// TestServerOfEvent: the row of a call has the name of the server that its gate
// stands in front of.
func TestServerOfEvent(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	for _, test := range []struct{ config, want string }{{"stock-data", "stock-data"}, {"", "default"}} {
		s := startSite(t, u.Address(), func(c *gate.Config) { c.Server = test.config })
		key := s.key(t)
		for _, flow := range []string{"json", "task"} {
			c := gatetest.Client{URL: s.url, Key: key}
			if err := c.Run(gatetest.Flow{Tool: "query_" + flow + test.config, Name: flow, Table: "t", Rows: 3, ID: "1"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, row := range s.journal.Await(t, 2) {
			if row["server"] != test.want {
				t.Errorf("a gate of the server %q leaves the row %v", test.config, row)
			}
		}
	}
}

func TestCheckServer(t *testing.T) {
	for _, name := range []string{"default", "stock-data", "a", "7", "Db.v2_x", strings.Repeat("a", 64)} {
		if err := gate.CheckServer(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "-a", ".", "a/b", "a b", "a*", "!a", "é", "a\n", "{env.NAME}", strings.Repeat("a", 65)} {
		if err := gate.CheckServer(name); err == nil {
			t.Errorf("%q is taken as the name of a server", name)
		}
	}
	if _, err := gate.New(gate.Config{Server: "a/b"}); err == nil || !strings.Contains(err.Error(), `the server name "a/b"`) {
		t.Errorf("New with a name that is not allowed: %v", err)
	}
}
