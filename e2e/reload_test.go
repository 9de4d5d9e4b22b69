package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/sqlite"
)

// TestReload changes the config of a running gate: no call fails because of it, a
// stream that began before continues, and each call has one row, in the ledger that
// was configured when its event was shipped.
func TestReload(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSiteAt(t, u.Address())
	control := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	file := filepath.Join(s.dir, "Caddyfile")
	config := strings.Replace(readFile(t, file), "admin off", "admin "+control, 1)
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(want bool) {
		t.Helper()
		cmd := exec.Command(binary, "reload", "--address", control, "--force")
		cmd.Dir = s.dir
		cmd.Env = append(cleanEnv(), append([]string{"HOME=" + t.TempDir()}, s.env...)...)
		if out, err := cmd.CombinedOutput(); (err == nil) != want {
			t.Fatalf("reload: %v\n%s", err, out)
		}
	}
	write(config)
	s.kill()
	s.run(t)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)

	req := s.keyedPost(t.Context(), key, gatetest.CallBody("hold"))
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	rd := bufio.NewReader(stream.Body)
	if _, err := rd.ReadString('\n'); err != nil {
		t.Fatal(err)
	}

	var answered, cut atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			req := s.keyedPost(t.Context(), key, gatetest.CallBody("rows"))
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				// Caddy closes some connections at a reload, with or without a gate.
				cut.Add(1)
				continue
			}
			b, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("during a reload a call answers %d %s, %v", res.StatusCode, b, err)
				return
			}
			answered.Add(1)
		}
	}()
	for range 3 {
		reload(true)
	}
	// If a config cannot start, the previous one stays in effect.
	write(strings.Replace(config, "\tgrace_period 10s\n", "\tgrace_period 10s\n\ttallygate {\n\t\tjournal /proc/nowhere\n\t}\n", 1))
	reload(false)
	write(config)
	reload(true)
	close(stop)
	<-stopped
	t.Logf("%d calls answered, %d cut off", answered.Load(), cut.Load())
	s.awaitTotal(t, jwt, answered.Load(), answered.Load()+cut.Load())

	// Another ledger gets all events from now on, that of the stream included.
	write(strings.Replace(config, "\tgrace_period 10s\n", "\tgrace_period 10s\n\ttallygate {\n\t\tledger sqlite:data/second.db\n\t}\n", 1))
	reload(false) // a name that is not there may be a slip
	second, err := sqlite.Open("sqlite:" + filepath.Join(s.dir, "data", "second.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 1}); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	reload(true)
	close(u.Release)
	if rest, err := io.ReadAll(rd); err != nil || !strings.HasSuffix(string(rest), "}}\n\n") {
		t.Errorf("the stream ended after the reload in %v, with %q", err, rest)
	}
	if row := s.awaitCalls(t, jwt, 1)[0]; row["outcome"] != "ok" || row["record_count"] != 3.0 {
		t.Errorf("the row of the stream is %v", row)
	}
	s.stop(t)
}
