package commands_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/tallygate/tallygate/caddymodule" // the host
	"github.com/tallygate/tallygate/caddymodule/commands"
)

// adapted is a Caddyfile as JSON.
func adapted(t *testing.T, caddyfile string) []byte {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// extracted runs the command in JSON and returns what it finds in each call.
func extracted(t *testing.T, config []byte, input, tool string) (all []commands.Findings) {
	t.Helper()
	var out bytes.Buffer
	if err := commands.Extract(&out, strings.NewReader(input), config, 0, tool, true); err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(&out); d.More(); {
		var f commands.Findings
		if err := d.Decode(&f); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

const (
	aCall   = `{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"query","arguments":{"table":"t"}}}`
	aResult = `{"jsonrpc":"2.0","id":"1","result":{"content":[],"structuredContent":{"rows":[1,2]}}}`
)

func TestExchanges(t *testing.T) {
	quoted, err := json.Marshal("event: message\ndata: " + aResult + "\n\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, input := range map[string]string{
		"a pair":                 `{"request":` + aCall + `,"response":` + aResult + `}`,
		"one after another":      aCall + "\n" + aResult + "\n",
		"the result first":       aResult + aCall,
		"an array":               "\xef\xbb\xbf[" + aCall + "," + aResult + "]",
		"other messages":         `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}` + `{"jsonrpc":"2.0","id":0,"result":{}}` + aCall + `{"jsonrpc":"2.0","method":"notifications/progress"}` + `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"rows":[]}}}` + aResult,
		"an event stream":        "data: " + aCall + "\n\n: ping\n\nevent: message\r\nid: 4\r\ndata: " + strings.Replace(aResult, ",", ",\r\ndata: ", 1) + "\r\n\r\n",
		"a request and a stream": aCall + "\nevent: message\ndata: " + aResult,
		"a body as it was sent":  `{"request":` + aCall + `,"response":` + string(quoted) + `}`,
	} {
		f := extracted(t, nil, input, "")
		if len(f) != 1 || f[0].RecordCount == nil || *f[0].RecordCount != 2 || len(f[0].Tables) != 1 || f[0].Outcome != "ok" || f[0].Number != 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := extracted(t, nil, aCall, ""); len(f) != 1 || f[0].Outcome != "no_result" || len(f[0].Tables) != 1 || f[0].RecordsUnknown != "not_found" {
		t.Errorf("a request alone: %+v", f)
	}
	if f := extracted(t, nil, aResult, "query"); len(f) != 1 || f[0].Outcome != "ok" || f[0].RecordCount == nil || f[0].TablesUnknown != "not_found" {
		t.Errorf("a response alone: %+v", f)
	}
	for input, want := range map[string]string{
		"":                "no tools/call",
		aResult:           "name its tool by --tool",
		"{":               "no JSON",
		"hello":           "neither JSON nor an event stream",
		"data: hello\n\n": "neither JSON nor an event stream",
		strings.Replace(aCall, `"2.0"`, `"1.0"`, 1): "refused by the gate",
	} {
		if err := commands.Extract(new(bytes.Buffer), strings.NewReader(input), nil, 0, "", false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", input, err, want)
		}
	}
}

func TestExtractPicksAGate(t *testing.T) {
	gate := func(records string) string {
		return "\ttallygate {\n\t\ttool q* {\n\t\t\trecords " + records + "\n\t\t}\n\t}\n"
	}
	one := adapted(t, ":1 {\n\thandle /a {\n"+gate("=5")+"\t}\n\thandle {\n\ttallygate\n\t}\n}\n")
	two := adapted(t, ":1 {\n"+gate("=5")+"}\n:2 {\n"+gate("=6")+"}\n")
	run := func(config []byte, number int) (string, error) {
		var out bytes.Buffer
		err := commands.Extract(&out, strings.NewReader(aCall+aResult), config, number, "", false)
		return out.String(), err
	}
	if out, err := run(one, 0); err != nil || !strings.Contains(out, "number 1 of gate 1") || !strings.Contains(out, "records  5\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(one, 2); err != nil || !strings.Contains(out, "the default") || !strings.Contains(out, "records  2\n") || !strings.Contains(out, "other paths") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(two, 2); err != nil || !strings.Contains(out, "records  6\n") || !strings.Contains(out, "tables   unknown: the rule does not say where to look (no_rule)") {
		t.Errorf("%v\n%s", err, out)
	}
	for number, want := range map[int]string{0: "pick one by --gate, which counts from 1 in the order of the adapted config: 1 2", 3: "there is no gate 3"} {
		if _, err := run(two, number); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("gate %d: %v", number, err)
		}
	}
	if _, err := run([]byte(`{"apps":{}}`), 0); err == nil || !strings.Contains(err.Error(), "no tallygate handler") {
		t.Error(err)
	}
}
