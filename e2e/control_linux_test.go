package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// withControl starts the site again, with the control socket of the shipped Caddyfile.
func (s *site) withControl(tb testing.TB) {
	tb.Helper()
	s.rewrite(tb, "admin off", "admin unix/tallygate.sock|0600")
}

// fromShell runs the binary in the site's folder with a shell's environment, not that
// of the site's process.
func (s *site) fromShell(tb testing.TB, args ...string) error {
	tb.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = s.dir
	cmd.Env = append(cleanEnv(), "HOME="+tb.TempDir(), "TALLYGATE_UPSTREAM=127.0.0.1:1", "TALLYGATE_STORE=sqlite:elsewhere.db")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// TestSecondGate: a gate on the ports of another one says which and ends, and the
// first one goes on and can be reloaded.
func TestSecondGate(t *testing.T) {
	s := startSite(t)
	s.withControl(t)
	refused := func(dir, want string) {
		t.Helper()
		second := start(t, dir, s.env, "run")
		<-second.exited
		if out := second.output(); second.cmd.ProcessState.Success() || !strings.Contains(out, want) {
			t.Errorf("the second gate prints\n%s\nwant %q", out, want)
		}
	}
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "Caddyfile"), []byte(readFile(t, filepath.Join(s.dir, "Caddyfile"))), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(elsewhere, "another process listens on it already")
	if _, err := os.Stat(filepath.Join(elsewhere, "data")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the second gate has made its data: %v", err)
	}
	refused(s.dir, "its control socket tallygate.sock answers")
	if err := s.fromShell(t, "reload", "--force"); err != nil {
		t.Error(err)
	}
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	for range 20 {
		if a := do(t, "POST", s.gate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Fatalf("a call is answered %d %s", a.status, a.body)
		}
	}
	s.stop(t)
	s.run(t) // a restart finds its own socket and ports free
}

// TestControl: the running config changes by reload, from another folder too, and by
// a signal; it holds no secret; and only the gate's user can open the socket.
func TestControl(t *testing.T) {
	const secret = "sesame-4711"
	saved := t.TempDir()
	s := startSite(t, "TALLYGATE_LEDGER=clickhouse://gate:"+secret+"@127.0.0.1:1/usage", "TALLYGATE_JWT_SECRET="+secret+strings.Repeat("x", 32), "XDG_CONFIG_HOME="+saved)
	s.withControl(t)
	file, socket := filepath.Join(s.dir, "Caddyfile"), filepath.Join(s.dir, "tallygate.sock")
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)

	config := "default"
	change := func(to string) {
		t.Helper()
		text := strings.Replace(readFile(t, file), "\ttallygate_admin\n", "\theader +X-Config "+to+"\n\ttallygate_admin\n", 1)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config = to
	}
	changed := func() {
		t.Helper()
		s.await(t, "the config "+config, func() bool {
			return strings.Contains(strings.Join(do(t, "GET", s.admin+"/openapi.json", "").header["X-Config"], " "), config)
		})
		if a := do(t, "POST", s.gate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Errorf("after the change to %s, a call is answered %d %s", config, a.status, a.body)
		}
	}
	change("reload")
	if err := s.fromShell(t, "reload"); err != nil {
		t.Fatal(err)
	}
	changed()
	change("signal")
	if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	changed()
	change("elsewhere")
	folder := *s
	folder.dir = t.TempDir()
	if err := folder.fromShell(t, "reload", "--config", filepath.Join(s.dir, "Caddyfile"), "--address", "unix/"+socket); err != nil {
		t.Fatal(err)
	}
	changed()

	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	res, err := client.Get("http://localhost/config/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(text), "{env.TALLYGATE_UPSTREAM}") || strings.Contains(string(text), secret) {
		t.Errorf("the config is %s, %v", text, err)
	}
	if text := readFile(t, filepath.Join(saved, "caddy", "autosave.json")); strings.Contains(text, secret) {
		t.Errorf("the saved config is %s", text)
	}

	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	if err := dialAs(t, 65534, socket); os.Getuid() == 0 && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("as another user, opening the socket: %v", err)
	}
	if strings.Contains(s.output(), secret) {
		t.Error("the log holds a secret")
	}
}

// dialAs connects to a Unix socket as another user, if this process may become one.
func dialAs(tb testing.TB, uid int, socket string) error {
	tb.Helper()
	result := make(chan error)
	go func() {
		// Never unlocked, so that the thread with the other user ends here.
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
				result <- errno
				return
			}
		}
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err == nil {
			err = errors.Join(syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket}), syscall.Close(fd))
		}
		result <- err
	}()
	return <-result
}

// TestControlPortWarning: a gate with Caddy's default control port says what that
// means.
func TestControlPortWarning(t *testing.T) {
	s := startSite(t)
	const warning = "go past the gate"
	if strings.Contains(s.output(), warning) {
		t.Error("a gate without a control port warns of one")
	}
	s.env = append(s.env, fmt.Sprintf("CADDY_ADMIN=localhost:%d", freePort(t)))
	s.rewrite(t, "\tadmin off\n", "")
	if !strings.Contains(s.output(), warning) {
		t.Errorf("it logs\n%s", s.output())
	}
}
