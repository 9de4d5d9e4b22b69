package main

import (
	"bytes"
	"net"
	"os"
	"slices"
	"strings"
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

// TestCheckSocket: `run` is refused where another process answers at the control
// socket of its config, and not where the socket was left behind.
func TestCheckSocket(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"Caddyfile":       string(caddyfile),
		"other.caddyfile": "{\n\tadmin unix/other.sock\n}\n",
		"port.caddyfile":  "{\n\tadmin localhost:2020\n}\n",
		"config.json":     `{"admin":{"listen":"unix/tallygate.sock|0600"}}`,
		"broken":          "{",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "tallygate.sock"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	refused := [][]string{
		{"run"}, {"run", "--watch"}, {"run", "--config", "config.json"}, {"run", "-c", "Caddyfile", "-a", "caddyfile"},
		{"run", "--config", os.DevNull, "--adapter", "shipped"},
	}
	for _, args := range append(refused,
		nil, []string{"reload"}, []string{"run", "--resume"}, []string{"run", "-c", "other.caddyfile"}, []string{"run", "-c", "port.caddyfile"},
		[]string{"run", "-c", "broken"}, []string{"run", "-c", "missing"}, []string{"run", "--config"},
	) {
		err := checkSocket(slices.Concat([]string{"tallygate"}, args))
		want := slices.ContainsFunc(refused, func(r []string) bool { return slices.Equal(r, args) })
		if (err != nil) != want || err != nil && !strings.Contains(err.Error(), "tallygate.sock") {
			t.Errorf("%q: %v, want an error: %t", args, err, want)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkSocket([]string{"tallygate", "run"}); err != nil {
		t.Errorf("with a socket that nobody answers: %v", err)
	}
}
