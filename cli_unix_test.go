//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// runCommand runs a command line in this process, and returns what it prints and its
// exit status.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	root := newRoot()
	var out, err bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&err)
	root.SetArgs(args)
	status = execute(root)
	return out.String(), err.String(), status
}

// TestMistypedCommands: what is mistyped fails with one line that says what was
// meant, and nothing else is printed or made.
func TestMistypedCommands(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"users disble ana@example.com", 2, `Error: there is no command "disble" of ` + "`tallygate users`; did you mean disable?"},
		{"keys sk-" + strings.Repeat("aB3", 17), 2, `Error: there is no command "sk-aB3a…" of ` + "`tallygate keys`; --help lists what there is"},
		{"ledger exprt", 2, "did you mean export?"},
		{"keys list --jsn", 2, "Error: unknown flag: --jsn; did you mean --json?"},
		{"run --conig x", 2, "Error: unknown flag: --conig; did you mean --config?"},
		{"users disable", 2, "Error: accepts 1 arg(s), received 0: write it as tallygate users disable <user>"},
		{"keys list", 4, "Error: there is no store data/tallygate.db: run this in the folder of the gate, or name its config with --config"},
		{"users disable ana@example.com", 4, "there is no store"},
		{"ledger export", 1, "there is no ledger data/usage.db"},
		{"ledger export --from 2026-12-02 --to 2026-12-01", 1, "--from must be before --to"},

		{"ledger export --key xyz", 1, `Error: --key must be the ID of a key, as ` + "`tallygate keys list`" + ` shows it, not "xyz"`},
		{"ledger export --from yesterday", 1, `--from must be a day or a time in RFC 3339 in the years 1970 to 2199, like 2026-11-23 or 2026-11-23T18:00:00Z, not "yesterday"`},
		{"ledger export --config nowhere", 1, "Error: reading the config: open nowhere: no such file or directory"},
	} {
		stdout, stderr, status := runCommand(t, strings.Fields(c.args)...)
		if status != c.status || stdout != "" || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("tallygate %s: status %d, %q, %q; want %d, one line with %q", c.args, status, stdout, stderr, c.status, c.says)
		}
	}
	for _, args := range []string{"frobnicate", "upgrade", "add-package github.com/caddy-dns/acmedns", "remove-package x"} {
		if _, stderr, status := runCommand(t, strings.Fields(args)...); status == 0 || !strings.Contains(stderr, "unknown command") {
			t.Errorf("tallygate %s: status %d, %q", args, status, stderr)
		}
	}
	if stdout, _, status := runCommand(t, "users"); status != 2 || !strings.Contains(stdout, "disable") {
		t.Errorf("tallygate users: status %d, %q", status, stdout)
	}
	if made, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(made) > 0 {
		t.Errorf("the commands made %q, %v", made, err)
	}
}

// TestHelpNamesTallygate: the help of every command, Caddy's own included, calls the
// binary by its name.
func TestHelpNamesTallygate(t *testing.T) {
	var each func(cmd *cobra.Command)
	each = func(cmd *cobra.Command) {
		for _, text := range []string{cmd.UseLine(), cmd.Short, cmd.Long, cmd.Example} {
			if caddyCommand.MatchString(text) {
				t.Errorf("%s: its help says %q", cmd.CommandPath(), text)
			}
		}
		for _, c := range cmd.Commands() {
			each(c)
		}
	}
	root := newRoot()
	each(root)
	if len(root.Commands()) < 15 {
		t.Errorf("there are %d commands", len(root.Commands()))
	}
}

// TestRootLeavesFilesToTheGate: a command that root runs leaves no file that the
// owner of the store cannot open.
func TestRootLeavesFilesToTheGate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	in, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.WriteString("a long passphrase\n"); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	before := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = before }()
	root := newRoot()
	root.SetIn(in)
	root.SetArgs([]string{"users", "add", "ana@example.com", "--role", "admin"})
	if status := execute(root); status != 0 {
		t.Fatalf("users add: status %d", status)
	}
	const gate = 12345
	files, err := filepath.Glob(filepath.Join(dir, "data", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, filepath.Join(dir, "data")) {
		if os.Geteuid() == 0 {
			if err := os.Chown(file, gate, gate); err != nil {
				t.Fatal(err)
			}
		}
	}
	if stdout, stderr, status := runCommand(t, "users", "list", "--json"); status != 0 || stderr != "" || !strings.Contains(stdout, "ana@example.com") {
		t.Fatalf("users list: status %d, %q, %q", status, stdout, stderr)
	}
	files, _ = filepath.Glob(filepath.Join(dir, "data", "*"))
	for _, file := range files {
		if uid := ownerOf(t, file); os.Geteuid() == 0 && uid != gate {
			t.Errorf("%s belongs to %d", filepath.Base(file), uid)
		}
	}
}

func ownerOf(t *testing.T, file string) int {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
