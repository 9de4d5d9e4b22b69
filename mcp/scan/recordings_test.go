package scan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/mcp"
)

// recordings has the calls that e2e/servers made to real servers, a file for
// each server.
const recordings = "../../e2e/servers/recordings"

// recording is one call with what is known of it.
type recording struct {
	Call string
	Want struct {
		Tables  []string
		Records *int64 // nil when the answer does not say
		Or      *int64 // another count that is right, beside Records
	}
	Rule              []string // options of a tool block; the default rule if there are none
	Request, Response json.RawMessage
}

// TestRecordings replays every recorded call: no count and no table may be
// wrong, and of those that can be known at least 92 % and 98 % have to be found.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordings, "*.json"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d recordings in %s, %v", len(files), recordings, err)
	}
	var counts, tables tally
	for _, file := range files {
		for _, r := range readRecordings(t, file) {
			name, f := filepath.Base(file)+", "+r.Call, r.replay(t)
			if f.RecordsKnown && !isCount(f.Records, r.Want.Records) && !isCount(f.Records, r.Want.Or) {
				t.Errorf("%s: %d records by line %q, want %s", name, f.Records, f.Line(), orNull(r.Want.Records))
			}
			if len(f.Tables) > 0 && !slices.Equal(f.Tables, r.Want.Tables) {
				t.Errorf("%s: tables %q, want %q", name, f.Tables, r.Want.Tables)
			}
			if r.Want.Records != nil {
				counts.add(t, f.RecordsKnown, name+": no count, want "+orNull(r.Want.Records))
			}
			if len(r.Want.Tables) > 0 {
				tables.add(t, len(f.Tables) > 0, name+": no tables")
			}
		}
	}
	counts.atLeast(t, "counts", 92)
	tables.atLeast(t, "tables", 98)
}

// tally counts what is found of what can be known.
type tally struct{ known, found int }

func (c *tally) add(t *testing.T, found bool, missing string) {
	t.Helper()
	c.known++
	if found {
		c.found++
		return
	}
	t.Log(missing)
}

func (c *tally) atLeast(t *testing.T, what string, percent int) {
	t.Helper()
	t.Logf("%d of %d %s are found", c.found, c.known, what)
	if c.found*100 < c.known*percent {
		t.Errorf("%d of %d %s are found, want at least %d %%", c.found, c.known, what, percent)
	}
}

func isCount(got int64, want *int64) bool { return want != nil && got == *want }

func orNull(n *int64) string {
	text, _ := json.Marshal(n) // a number or nil
	return string(text)
}

func readRecordings(t *testing.T, file string) (calls []recording) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &calls); err != nil || len(calls) == 0 {
		t.Fatalf("%s: %d calls, %v", file, len(calls), err)
	}
	return calls
}

// replay extracts from a call as the gate does. A call that did not end well
// has no record count.
func (r *recording) replay(t *testing.T) Facts {
	t.Helper()
	var body mcp.Body
	if err := body.Read(r.Request, false); err != nil {
		t.Fatalf("%s: %v", r.Call, err)
	}
	request := &body.Messages[0]
	x := r.extractors(t).For(request.Tool)
	facts, ok := x.FromCall(request), false
	var s Scanner
	s.Reset(JSON, Calls, x)
	s.Scan(r.Response, func(reply *Reply) {
		ok = !reply.RPCError && !reply.ToolError
		facts = facts.Merge(reply.Facts(x))
	})
	facts.RecordsKnown = facts.RecordsKnown && ok
	return facts
}

// compiled has the extractors of the rules that recordings name.
var compiled = map[string]*Extractors{}

// extractors are those of the rule that the recording names.
func (r *recording) extractors(t *testing.T) *Extractors {
	t.Helper()
	key := strings.Join(r.Rule, "\n")
	if compiled[key] == nil {
		var rules []Rule
		if len(r.Rule) > 0 {
			rules = []Rule{{Tool: "*"}}
		}
		for _, option := range r.Rule {
			name, path, _ := strings.Cut(option, " ")
			into := map[string]*[]string{"table": &rules[0].Tables, "records": &rules[0].Records, "affected": &rules[0].Affected}[name]
			*into = append(*into, path)
		}
		x, err := NewExtractors(rules)
		if err != nil {
			t.Fatal(err)
		}
		compiled[key] = x
	}
	return compiled[key]
}
