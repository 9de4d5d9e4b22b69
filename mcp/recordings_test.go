package mcp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// recording is a call of a real server: what e2e/servers/run.py --record wrote.
type recording struct {
	Call string
	Rule any // of an operator; nil for the default rule
	Want struct {
		Tables  []string // nil: unknown
		Records *int64
		Why     string
	}
	Request, Response json.RawMessage
}

// knownWrong are the calls whose count the default rule gets wrong, and why.
var knownWrong = map[string]string{
	"henkey-postgres-mcp-server.json mutation-insert": "the server says 0 where it wrote a row",
	"redis-mcp-server.json get-text":                  "the value of a key is a JSON array of objects",
	"toolbox-sdk-server.json count-named":             "a column of the one row is called row_count",
}

// TestRecordings replays the calls of real servers by the default rule: no table
// is wrong, no count but those in knownWrong, and nearly all that can be known
// is known.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("../e2e/servers/recordings/*.json")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	x, err := NewExtractors(nil)
	if err != nil {
		t.Fatal(err)
	}
	var counts, countsKnown, tables, tablesKnown int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var calls []recording
		if err := json.Unmarshal(text, &calls); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range calls {
			if c.Rule != nil {
				continue
			}
			name := filepath.Base(file) + " " + c.Call
			got, outcome := replay(t, x, c)
			if outcome.RPCError || outcome.ToolError {
				got.RecordsKnown = false // as in the event
			}
			switch want := c.Want.Records; {
			case got.RecordsKnown && (want == nil || got.Records != *want):
				if knownWrong[name] == "" {
					t.Errorf("%s: %d records by %s, want %v (%s)", name, got.Records, got.Line(), want, c.Want.Why)
				}
			case want != nil:
				counts++
				if got.RecordsKnown {
					countsKnown++
				}
			}
			if len(c.Want.Tables) == 0 {
				if len(got.Tables) > 0 {
					t.Errorf("%s: tables %q, want none", name, got.Tables)
				}
				continue
			}
			tables++
			if got.TablesUnknown != Known {
				continue
			}
			tablesKnown++
			slices.Sort(c.Want.Tables)
			if found := slices.Sorted(slices.Values(got.Tables)); !slices.Equal(found, c.Want.Tables) {
				t.Errorf("%s: tables %q, want %q", name, found, c.Want.Tables)
			}
		}
	}
	t.Logf("%d of %d counts and %d of %d tables that can be known are", countsKnown, counts, tablesKnown, tables)
	if countsKnown*100 < counts*90 || tablesKnown*100 < tables*98 {
		t.Errorf("only %d of %d counts and %d of %d tables that can be known are", countsKnown, counts, tablesKnown, tables)
	}
}

func replay(t *testing.T, x *Extractors, c recording) (facts Facts, outcome Outcome) {
	t.Helper()
	var body Body
	if err := body.Read(c.Request, false); err != nil {
		t.Fatalf("%s: %v", c.Call, err)
	}
	e := x.For(body.Messages[0].Tool)
	facts = e.FromCall(&body.Messages[0])
	var s Scanner
	s.Reset(JSON, Calls, e)
	s.Scan(c.Response, func(r *Reply) {
		outcome = r.Outcome
		facts = facts.Merge(r.Facts(e))
	})
	return facts, outcome
}
