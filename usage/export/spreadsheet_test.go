package export

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
)

func TestIsFormula(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "tool": false, "query_=1": false, "a-b": false, "1": false, "-1": false, "-32602": false, "a\n=1": false, "'=1": false,
		"=1": true, "+1": true, "-": true, "-a": true, "-1+2": true, "@SUM(1)": true, "\t=1": true, "\r": true, "\n=1": true,
		"\u2003=1": true, "\u00a0=1": true, "＝1": true, "＋1": true, "－1": true, "＠a": true, "=HYPERLINK(\"http://a\")": true, "99999999999999999999": false,
	} {
		if got := isFormula(s); got != want {
			t.Errorf("%q is a formula: %t", s, got)
		}
	}
}

// TestSpreadsheetCSV: whatever the text, no cell is a formula, and the text is
// what follows the '.
func TestSpreadsheetCSV(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tool := rapid.StringMatching(`[ \t\n"',=+@\-]?[=+@a\- 1"]{0,4}`).Draw(t, "tool")
		var out bytes.Buffer
		w, err := New(SpreadsheetCSV, &out)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(&usage.Event{Tool: tool}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(records) != 2 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		got := records[1][slices.Index(records[0], "tool_name")]
		if isFormula(got) {
			t.Errorf("%q is written as %q", tool, got)
		}
		if strings.TrimPrefix(got, "'") != strings.TrimPrefix(tool, "'") {
			t.Errorf("%q is written as %q", tool, got)
		}
	})
}
