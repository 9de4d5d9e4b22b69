package commands_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	// exchanges has calls that were formed from the sources of servers that
	// cannot be run here.
	exchanges = "../testdata/exchanges"
	// recordings has the calls that e2e/servers made to real ones, a file for
	// each server.
	recordings = "../../e2e/servers/recordings"
)

// example is one call with what is known of it.
type example struct {
	Call string `json:"call"`
	Want struct {
		Tables  []string
		Records *int64
	} `json:"want"`
	Request  json.RawMessage `json:"request"`
	Response json.RawMessage `json:"response"`
}

// ruled is a config in which the options are the rule of every tool. Without
// options there is none, and the default rule is used.
func ruled(t *testing.T, options []string) []byte {
	t.Helper()
	if len(options) == 0 {
		return nil
	}
	return adapted(t, ":8001 {\n\ttallygate {\n\t\ttool * {\n\t\t\t"+strings.Join(options, "\n\t\t\t")+"\n\t\t}\n\t}\n}\n")
}

// TestMeteringExamples runs each rule in the table of docs/metering.md on the
// exchange that the line names: a recorded call as server/call, or one that was
// formed from a source.
func TestMeteringExamples(t *testing.T) {
	doc, err := os.ReadFile("../../docs/metering.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "| server, tool |")
	table, _, _ = strings.Cut(table, "\n\n")
	formed := 0
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "| "), `\|`, "\x00"), "|")
		if len(cells) != 4 {
			t.Fatalf("there are %d cells in %s", len(cells), line)
		}
		rule, name := strings.ReplaceAll(strings.TrimSpace(cells[2]), "\x00", "|"), strings.TrimSpace(cells[3])
		if !strings.Contains(name, "/") {
			formed++
		}
		call := readExample(t, name)
		var options []string
		if rule != "*default*" {
			options = strings.Split(strings.Trim(rule, "`"), "` `")
		}
		pair, err := json.Marshal(call)
		if err != nil {
			t.Fatal(err)
		}
		f := extracted(t, ruled(t, options), string(pair), "")[0]
		if diff := cmp.Diff([]any{call.Want.Tables, call.Want.Records}, []any{f.Tables, f.RecordCount}); diff != "" {
			t.Errorf("%s, by %s (-want +got):\n%s", name, rule, diff)
		}
	}
	files, err := os.ReadDir(exchanges)
	if err != nil || len(files) != formed {
		t.Errorf("there are %d exchanges and %d in the table, %v", len(files), formed, err)
	}
}

// readExample reads the exchange that a line of the table names.
func readExample(t *testing.T, name string) example {
	t.Helper()
	server, call, recorded := strings.Cut(name, "/")
	if !recorded {
		var one example
		readJSON(t, filepath.Join(exchanges, name+".json"), &one)
		return one
	}
	var calls []example
	readJSON(t, filepath.Join(recordings, server+".json"), &calls)
	i := slices.IndexFunc(calls, func(e example) bool { return e.Call == call })
	if i < 0 {
		t.Fatalf("%s: there is no such call in %s", name, recordings)
	}
	return calls[i]
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
