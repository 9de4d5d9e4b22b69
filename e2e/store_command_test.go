package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tallygate/tallygate/gate/gatetest"
	"golang.org/x/sys/unix"
)

// command runs a command of the binary beside the site, with the site's config and
// environment, until it ends.
func (s *site) command(tb testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	tb.Helper()
	cmd := s.prepare(tb, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (s *site) prepare(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), binary, args...)
	cmd.Dir = s.dir
	cmd.Env = append(cleanEnv(), append([]string{"HOME=" + tb.TempDir()}, s.env...)...)
	return cmd
}

// commandJSON runs a command that succeeds and prints JSON.
func (s *site) commandJSON(tb testing.TB, stdin string, args ...string) map[string]any {
	tb.Helper()
	stdout, stderr, code := s.command(tb, stdin, append(args, "--json")...)
	if code != 0 {
		tb.Fatalf("%s: %d %s", strings.Join(args, " "), code, stderr)
	}
	return answer{body: stdout}.json(tb)
}

// ann is the user that the commands manage.
const ann = "ann@example.com"

// annLogsIn reports whether she can log in with a password.
func (s *site) annLogsIn(tb testing.TB, password string) bool {
	tb.Helper()
	a := do(tb, "POST", s.admin+"/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, ann, password))
	if a.status != http.StatusOK && a.status != http.StatusUnauthorized {
		tb.Fatalf("login: %d %s", a.status, a.body)
	}
	return a.status == http.StatusOK
}

// works reports whether the gate accepts a key.
func (s *site) works(tb testing.TB, key string) bool {
	tb.Helper()
	a := do(tb, "POST", s.gate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+key)
	if a.status != http.StatusOK && a.status != http.StatusUnauthorized {
		tb.Fatalf("the gate answers %d %s", a.status, a.body)
	}
	return a.status == http.StatusOK
}

// TestUsersCommand manages users before a gate runs, and beside a running one.
func TestUsersCommand(t *testing.T) {
	s := startSite(t)
	const first, second = "a first long password", "a second long password"
	made := s.commandJSON(t, first+"\n", "users", "add", " Ann@Example.com ", "--calls-per-day", "7")
	if made["email"] != ann || made["role"] != "user" || made["disabled"] != false || made["limits"].(map[string]any)["calls_per_day"] != 7.0 {
		t.Errorf("add answers %v", made)
	}
	if !s.annLogsIn(t, first) {
		t.Error("a user who was added cannot log in")
	}
	key := s.commandJSON(t, "", "keys", "create", "--user", ann, "--name", "k")["api_key"].(string)
	if !s.works(t, key) {
		t.Error("the user's key does not work")
	}

	s.commandJSON(t, "", "users", "disable", made["user_id"].(string))
	if s.annLogsIn(t, first) {
		t.Error("a disabled user can log in")
	}
	eventually(t, "the disabled user's key to be refused", func() bool { return !s.works(t, key) })
	s.commandJSON(t, "", "users", "enable", ann)
	if !s.annLogsIn(t, first) {
		t.Error("a user who was enabled again cannot log in")
	}
	eventually(t, "the user's key to be taken again", func() bool { return s.works(t, key) })
	if stdout, stderr, code := s.command(t, second+"\r\n", "users", "passwd", ann); code != 0 || stdout != "Set the password of "+ann+"\n" {
		t.Errorf("passwd: %d %s %s", code, stdout, stderr)
	}
	if s.annLogsIn(t, first) || !s.annLogsIn(t, second) {
		t.Error("the password was not changed")
	}

	i := s.commandJSON(t, "", "users", "invite", "bob@example.com", "--role", "admin", "--url", "https://keys.example.com/", "--valid", "2d")
	expires, err := time.Parse(time.RFC3339, i["expires_at"].(string))
	if i["invite_url"] != "https://keys.example.com/invite#"+i["token"].(string) || len(i["token"].(string)) != 43 || err != nil || time.Until(expires).Round(time.Hour) != 48*time.Hour {
		t.Errorf("invite answers %v", i)
	}

	var seen []string
	for _, item := range s.commandJSON(t, "", "users", "list")["items"].([]any) {
		u := item.(map[string]any)
		seen = append(seen, fmt.Sprint(u["email"], " ", u["role"], " ", u["disabled"]))
	}
	if diff := cmp.Diff([]string{adminEmail + " admin false", ann + " user false"}, seen); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	stdout, _, _ := s.command(t, "", "users", "list")
	if !regexp.MustCompile(`(?m)^E-MAIL +ROLE .*\n.*\nann@example.com +user +active +20\S+ +7 calls/day +\S{36}$`).MatchString(stdout) {
		t.Errorf("list prints\n%s", stdout)
	}
	for _, c := range []struct {
		code  int
		says  string
		stdin string
		args  []string
	}{
		{2, "email address is not valid", first, []string{"add", "nobody"}},
		{2, `the role is "root"`, first, []string{"add", "x@example.com", "--role", "root"}},
		{2, "burst", first, []string{"add", "x@example.com", "--burst", "3"}},
		{2, "password", "short\n", []string{"add", "x@example.com"}},
		{2, "no password on the standard input", "", []string{"add", "x@example.com"}},
		{2, "not a duration", "", []string{"invite", "x@example.com", "--valid", "soon"}},
		{2, `--url: "keys.example.com" is no web address, as in https://keys.example.com`, "", []string{"invite", "x@example.com", "--url", "keys.example.com"}},
		{4, `"nobody@example.com": not found`, "", []string{"disable", "nobody@example.com"}},
		{4, "not found", first, []string{"passwd", "00000000-0000-7000-8000-000000000000"}},
		{5, "exists already", first, []string{"add", ann}},
		{5, "exists already", "", []string{"invite", ann}},
		{5, "last admin", "", []string{"disable", adminEmail}},
		{2, "unknown flag", first, []string{"add", "x@example.com", "--password", first}},
		{2, "accepts 1 arg(s)", first, []string{"add", "x@example.com", first}},
	} {
		stdout, stderr, code := s.command(t, c.stdin, append([]string{"users"}, c.args...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("users %q: %d %q %q", c.args, code, stdout, stderr)
		}
	}

	// The first user, before any gate runs and the store exists.
	fresh := &site{dir: t.TempDir()}
	fresh.commandJSON(t, first, "users", "add", "root@example.com", "--role", "admin")
	if _, err := os.Stat(filepath.Join(fresh.dir, "data", "tallygate.db")); err != nil {
		t.Error(err)
	}
	away := &site{dir: t.TempDir(), env: []string{fmt.Sprintf("TALLYGATE_STORE=postgres://ann:sesame@127.0.0.1:%d/db", freePort(t))}}
	if _, stderr, code := away.command(t, "", "users", "list"); code != 1 || strings.Contains(stderr, "sesame") || !strings.Contains(stderr, "listing the users") {
		t.Errorf("a store that is away: %d %s", code, stderr)
	}
}

// TestKeysCommand manages keys beside a running gate.
func TestKeysCommand(t *testing.T) {
	s := startSite(t)
	made := s.commandJSON(t, "", "keys", "create", "--name", "agent", "--scope", "query_*", "--scope", "!query_x", "--note", "for <a> test",
		"--expires", "90d", "--calls-per-minute", "600", "--concurrent-calls", "3")
	key, id := made["api_key"].(string), made["key_id"].(string)
	want := map[string]any{
		"key_name": "agent", "note": "for <a> test", "status": "active", "user_email": adminEmail, "scopes": []any{"query_*", "!query_x"},
		"limits": map[string]any{"calls_per_minute": 600.0, "concurrent_calls": 3.0}, "last_used_at": nil, "key_prefix": key[:11] + "…",
	}
	for name, value := range want {
		if diff := cmp.Diff(value, made[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	expires, err := time.Parse(time.RFC3339, made["expires_at"].(string))
	if err != nil || time.Until(expires).Round(time.Hour) != 90*24*time.Hour {
		t.Errorf("it expires at %v", made["expires_at"])
	}
	if !s.works(t, key) {
		t.Fatal("the key does not work")
	}
	if a := do(t, "POST", s.gate, gatetest.CallBody("rows"), "Authorization: Bearer "+key); !strings.Contains(a.body, `"code":40302`) {
		t.Errorf("a call outside the scopes answers %s", a.body)
	}

	rotated := s.commandJSON(t, "", "keys", "rotate", id, "--overlap", "12h")
	second, secondID := rotated["api_key"].(string), rotated["key_id"].(string)
	if diff := cmp.Diff(made["scopes"], rotated["scopes"]); diff != "" || rotated["key_name"] != "agent" || rotated["replaces"] != id || rotated["old_key"].(map[string]any)["status"] != "active" {
		t.Errorf("rotate answers %v", rotated)
	}
	if !s.works(t, second) || !s.works(t, key) {
		t.Error("in the overlap of a rotation one of the keys does not work")
	}
	third := s.commandJSON(t, "", "keys", "rotate", secondID, "--overlap", "0")["api_key"].(string)
	eventually(t, "the key that was rotated without an overlap to be refused", func() bool { return !s.works(t, second) })
	stdout, stderr, code := s.command(t, "", "keys", "revoke", id, "--reason", "lost")
	if code != 0 || stdout != fmt.Sprintf("Revoked the key %q (%s…)\n", "agent", key[:11]) {
		t.Errorf("revoke: %d %s %s", code, stdout, stderr)
	}
	eventually(t, "the revoked key to be refused", func() bool { return !s.works(t, key) })
	if !s.works(t, third) {
		t.Error("the last key does not work")
	}

	items := s.commandJSON(t, "", "keys", "list", "--user", adminEmail)["items"].([]any)
	var statuses []any
	for _, item := range items {
		statuses = append(statuses, item.(map[string]any)["status"])
		if item.(map[string]any)["api_key"] != nil {
			t.Errorf("list shows a key: %v", item)
		}
	}
	if diff := cmp.Diff([]any{"active", "rotated", "revoked"}, statuses); diff != "" || items[2].(map[string]any)["revoke_reason"] != "lost" {
		t.Errorf("list (-want +got):\n%s\n%v", diff, items)
	}
	stdout, _, _ = s.command(t, "", "keys", "list")
	if !regexp.MustCompile(`(?m)^PREFIX +STATUS .*\nsk-\S{8}… +active +agent +` + adminEmail + ` +20\S+ +20\S+ +\S+ +\S{36}$`).MatchString(stdout) {
		t.Errorf("list prints\n%s", stdout)
	}
	stdout, _, _ = s.command(t, "", "keys", "create", "--name", "shown")
	shown := keyPattern.FindString(stdout)
	if !s.works(t, shown) || !strings.Contains(stdout, "(shown once)") || !strings.Contains(stdout, "every tool") {
		t.Errorf("create prints\n%s", stdout)
	}

	if _, _, code := s.command(t, "another long password", "users", "add", ann); code != 0 {
		t.Fatalf("users add: %d", code)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, "the store has 2 users", []string{"create", "--name", "k"}},
		{2, "name is empty", []string{"create", "--user", adminEmail}},
		{2, "in the future", []string{"create", "--user", adminEmail, "--name", "k", "--expires", "2020-01-31"}},
		{2, "in the future", []string{"create", "--user", adminEmail, "--name", "k", "--expires", "-3d"}},
		{2, "none of 90d", []string{"create", "--user", adminEmail, "--name", "k", "--expires", "soon"}},
		{2, "not allowed", []string{"create", "--user", adminEmail, "--name", "k", "--scope", "a b"}},
		{2, "calls a day", []string{"create", "--user", adminEmail, "--name", "k", "--calls-per-day", "-1"}},
		{2, "--overlap", []string{"rotate", id, "--overlap", "soon"}},
		{4, "not found", []string{"create", "--user", "nobody@example.com", "--name", "k"}},
		{4, "not found", []string{"revoke", "no-such-key"}},
		{4, "not found", []string{"rotate", "no-such-key"}},
		{5, "not active", []string{"rotate", id}},
	} {
		stdout, stderr, code := s.command(t, "", append([]string{"keys"}, c.args...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("keys %q: %d %q %q", c.args, code, stdout, stderr)
		}
	}

	// The prefix comes from the config.
	s.rewrite(t, "\tgrace_period 10s\n", "\tgrace_period 10s\n\ttallygate {\n\t\tkey_prefix acme_live_\n\t}\n")
	made = s.commandJSON(t, "", "keys", "create", "--user", adminEmail, "--name", "marked")
	if key := made["api_key"].(string); !strings.HasPrefix(key, "acme_live_") || !s.works(t, key) || !s.works(t, third) {
		t.Errorf("under another prefix the key is %s", made["key_prefix"])
	}
}

// TestPasswordPrompt checks that at a terminal the password is asked for twice and
// not shown.
func TestPasswordPrompt(t *testing.T) {
	s := &site{dir: t.TempDir()}
	ask := func(answers ...string) (screen string, code int) {
		t.Helper()
		master, slave := openTerminal(t)
		cmd := s.prepare(t, "users", "add", ann)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = slave.Close() // the child has it
		said := make([]byte, 0, 4096)
		for _, a := range answers {
			for before := bytes.Count(said, []byte(": ")); bytes.Count(said, []byte(": ")) == before; {
				n, err := master.Read(said[len(said):cap(said)])
				if err != nil {
					t.Fatalf("%v after %q", err, said)
				}
				said = said[:len(said)+n]
			}
			eventually(t, "what is typed to be hidden", func() bool {
				state, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
				return err == nil && state.Lflag&unix.ECHO == 0
			})
			if _, err := io.WriteString(master, a); err != nil {
				t.Fatal(err)
			}
		}
		rest, _ := io.ReadAll(master) // a terminal ends with an error
		_ = cmd.Wait()
		return string(said) + string(rest), cmd.ProcessState.ExitCode()
	}
	const password = "a very long password"
	screen, code := ask(password+"\n", "something else\n")
	if code != 2 || !strings.Contains(screen, "differ") {
		t.Errorf("two that differ: %d %q", code, screen)
	}
	if screen, code := ask("\x03"); code == 0 {
		t.Errorf("Ctrl-C: %d %q", code, screen)
	}
	screen, code = ask(password+"\n", password+"\n")
	if code != 0 || !strings.Contains(screen, "Made the user ann@example.com") || strings.Contains(screen, password) {
		t.Errorf("two that are the same: %d %q", code, screen)
	}
}

// openTerminal opens a pseudo-terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
