package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExtractCommand runs the binary on a recorded call, with the repository's
// Caddyfile and without a config.
func TestExtractCommand(t *testing.T) {
	const exchange = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"backtest","arguments":{"ts_code":"x"}}}
		{"jsonrpc":"2.0","id":7,"result":{"content":[],"structuredContent":{"table":"stock_daily","days":120,"rows":[1,2]}}}`
	run := func(input string, args ...string) (string, error) {
		cmd := exec.Command(binary, append([]string{"extract"}, args...)...)
		cmd.Dir, cmd.Env = t.TempDir(), append(cleanEnv(), "HOME="+t.TempDir())
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.Output()
		return string(out), err
	}
	config := filepath.Join(root, "Caddyfile")
	for _, c := range []struct {
		args    []string
		records float64
		number  float64
	}{
		{[]string{"--json", "--config", config}, 120, 1},
		{[]string{"--json"}, 2, 0},
		{[]string{"--json", "--config", config, "--tool", "other"}, 2, 0},
	} {
		out, err := run(exchange, c.args...)
		if err != nil {
			t.Fatalf("%v: %v", c.args, err)
		}
		var found map[string]any
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatalf("%v: %v in %s", c.args, err, out)
		}
		want := []any{[]any{"stock_daily"}, c.records, c.number, "ok"}
		if diff := cmp.Diff(want, []any{found["tables"], found["record_count"], found["rule_number"], found["outcome"]}); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.args, diff)
		}
	}
	out, err := run(exchange, "--config", config)
	if err != nil || !strings.Contains(out, "tool backtest, number 1 of gate 1") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run("nothing", "--config", config); err == nil {
		t.Errorf("no error for what is no exchange: %s", out)
	}
}
