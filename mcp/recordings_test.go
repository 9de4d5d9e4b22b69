package mcp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recording is a call of a real server, and what is true of it: nil where the
// answer does not say. It is what e2e/servers/run.py --record writes.
type recording struct {
	Server string
	Call   string
	Rule   []string // of an operator; none: the default rule
	Want   struct {
		Tables  []string
		Records *int64
		Or      *int64 // is right as well
	}
	Request, Response json.RawMessage
}

// needRule are the servers whose counts take a rule: CSV, one object a text, and
// lists that are the values of keys.
var needRule = []string{"mysql-mcp-server.json", "toolbox-sdk-server.json", "redis-mcp-server.json"}

// TestRecordings runs the default rule on the recorded calls of real servers. No
// table and no count may be wrong, and nearly all that can be known has to be
// known without a rule.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("../e2e/servers/recordings/*.json")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	var tables, counts tally
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recordings []recording
		if err := json.Unmarshal(text, &recordings); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var ofServer tally
		for i := range recordings {
			r := &recordings[i]
			f := r.facts(t)
			var count *int64
			if f.RecordsKnown {
				count = &f.Records
			}
			right := same(count, r.Want.Records) || count != nil && same(count, r.Want.Or)
			if ofServer.add(r.Want.Records != nil, count != nil, right); !right {
				t.Logf("%s %s: %s records, want %s (%s, %v)\n\t%.200s", r.Server, r.Call, show(count), show(r.Want.Records), f.Line(), f.RecordsUnknown, r.Response)
			}
			right = slices.Equal(f.Tables, r.Want.Tables)
			if tables.add(r.Want.Tables != nil, f.TablesUnknown == Known, right); !right {
				t.Logf("%s %s: tables %q, want %q (%v)\n\t%.200s", r.Server, r.Call, f.Tables, r.Want.Tables, f.TablesUnknown, r.Request)
			}
		}
		name := filepath.Base(file)
		if t.Logf("%s: counts %+v", name, ofServer); ofServer.Wrong > 0 {
			t.Errorf("%s: %d counts are wrong", name, ofServer.Wrong)
		}
		if !slices.Contains(needRule, name) {
			counts.join(ofServer)
		}
	}
	t.Logf("counts without a rule: %+v; tables: %+v", counts, tables)
	if tables.Wrong > 0 {
		t.Errorf("%d tables are wrong", tables.Wrong)
	}
	if counts.Right*100 < counts.Knowable*95 || tables.Right*100 < tables.Knowable*98 {
		t.Errorf("of %d counts %d are known, of %d tables %d", counts.Knowable, counts.Right, tables.Knowable, tables.Right)
	}
}

// tally is how many answers can be known, and of all how many are.
type tally struct{ Calls, Knowable, Right, Wrong int }

func (n *tally) add(knowable, known, right bool) {
	n.Calls++
	if knowable {
		n.Knowable++
	}
	switch {
	case knowable && right:
		n.Right++
	case known && !right:
		n.Wrong++
	}
}

func (n *tally) join(other tally) {
	n.Calls += other.Calls
	n.Knowable += other.Knowable
	n.Right += other.Right
	n.Wrong += other.Wrong
}

func same(a, b *int64) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func show(n *int64) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// facts are what the rule finds in the call. A call that failed has no count.
func (r *recording) facts(t *testing.T) Facts {
	var body Body
	if err := body.Read(r.Request, false); err != nil {
		t.Fatalf("%s %s: %v", r.Server, r.Call, err)
	}
	var rules []Rule
	for _, option := range r.Rule {
		name, places, _ := strings.Cut(option, " ")
		if len(rules) == 0 {
			rules = []Rule{{Tool: "*"}}
		}
		switch name {
		case "table":
			rules[0].Tables = append(rules[0].Tables, strings.Fields(places)...)
		case "records":
			rules[0].Records = append(rules[0].Records, strings.Fields(places)...)
		case "affected":
			rules[0].Affected = append(rules[0].Affected, strings.Fields(places)...)
		default:
			t.Fatalf("%s %s: option %q", r.Server, r.Call, option)
		}
	}
	x, err := NewExtractors(rules)
	if err != nil {
		t.Fatal(err)
	}
	e := x.For("any")
	f := e.FromCall(&body.Messages[0])
	var s Scanner
	s.Reset(JSON, Calls, e)
	s.Scan(r.Response, func(reply *Reply) {
		if f = f.Merge(reply.Facts(e)); reply.ToolError || reply.RPCError {
			f.RecordsKnown = false
		}
	})
	return f
}
