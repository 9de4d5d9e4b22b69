package scan

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultRule(t *testing.T) {
	if _, err := newExtractor(DefaultRule); err != nil {
		t.Fatal(err)
	}
}

// TestLinesAreDocumented: docs/metering.md has every line of the default rule, in
// the order in which they are tried, with its reason.
func TestLinesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/metering.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "| line | why it is taken |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var want []string
	for _, l := range slices.Concat(DefaultLines, AffectedLines) {
		want = append(want, "| `"+l.Name+"` | "+l.Why+" |")
	}
	if diff := cmp.Diff(want, strings.Split(table, "\n")); diff != "" {
		t.Error(diff)
	}
}
