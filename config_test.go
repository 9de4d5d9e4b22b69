package main

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// TestWithConfig: a Caddy is started without a config only where somebody says so.
func TestWithConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	added := []string{"--config", os.DevNull, "--adapter", "shipped"}
	for _, args := range [][]string{{"run"}, {"run", "--watch"}, {"start"}, {"reload", "--address", "127.0.0.1:2020"}} {
		args = slices.Concat([]string{"tallygate"}, args)
		if got := withConfig(args); !slices.Equal(got, slices.Concat(args, added)) {
			t.Errorf("%q becomes %q", args, got)
		}
	}
	for _, args := range [][]string{
		nil, {"run", "--config", "x.json"}, {"run", "--config=x"}, {"run", "-c", "x"}, {"run", "--resume"}, {"run", "-r"}, {"run", "-a", "json"},
		{"keys", "list"}, {"version"}, {"validate"}, {"adapt"},
	} {
		args = slices.Concat([]string{"tallygate"}, args)
		if got := withConfig(args); !slices.Equal(got, args) {
			t.Errorf("%q becomes %q", args, got)
		}
	}
	config, _, _, err := caddycmd.LoadConfig(os.DevNull, "shipped")
	want, _, errWant := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, nil)
	if err != nil || errWant != nil || !bytes.Equal(config, want) {
		t.Errorf("the config is %s, %v", config, err)
	}
	if err := os.WriteFile("Caddyfile", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := withConfig([]string{"tallygate", "run"}); len(got) != 2 {
		t.Errorf("beside a Caddyfile, run becomes %q", got)
	}
}
