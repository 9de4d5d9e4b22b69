package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// demo is a running `tallygate demo`, on its fixed ports.
type demo struct {
	*process
	data, email, password, key string
}

const (
	demoGate  = "http://localhost:8001/messages"
	demoAdmin = "http://localhost:8000"
)

var (
	emailPattern    = regexp.MustCompile(`Login +(\S+)`)
	passwordPattern = regexp.MustCompile(`Password +(\S+) +\(shown once\)`)
)

// startDemo starts the demo with a data folder and waits until it has printed
// everything.
func startDemo(tb testing.TB, data string, env ...string) *demo {
	tb.Helper()
	d := &demo{process: start(tb, tb.TempDir(), env, "demo", "--data", data), data: data}
	d.await(tb, "the demo is ready", func() bool { return strings.Contains(d.output(), "A first call:") })
	d.email = submatch(emailPattern, d.output())
	d.password = submatch(passwordPattern, d.output())
	d.key = keyPattern.FindString(d.output())
	return d
}

func submatch(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// sh runs a command line as a person would, and returns its output.
func sh(tb testing.TB, line string, env ...string) string {
	tb.Helper()
	cmd := exec.Command("bash", "-eu", "-o", "pipefail", "-c", line)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// TestDemo runs what the demo prints and the seed's workflow, command by command,
// and then checks the seed's checklist line by line.
func TestDemo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "demo")
	d := startDemo(t, data)
	if d.email == "" || d.password == "" || d.key == "" {
		t.Fatalf("the first start tells no login or key:\n%s", d.output())
	}

	t.Run("the printed curl line works", func(t *testing.T) {
		_, line, _ := strings.Cut(d.output(), "A first call:")
		if out := sh(t, strings.TrimSpace(line)); !strings.Contains(out, `"row_count":3`) {
			t.Errorf("it answers %s", out)
		}
	})

	// The commands of the seed, with its placeholders filled in.
	jwt := "JWT=" + strings.TrimSpace(sh(t, `curl -s -X POST http://localhost:8000/api/auth/login \
-H "Content-Type: application/json" \
-d '{"email":"`+d.email+`","password":"`+d.password+`"}' \
| python3 -c "import sys,json; print(json.load(sys.stdin)['access_token'])"`))
	created := sh(t, `curl -s -X POST http://localhost:8000/api/mcp-keys/create \
-H "Authorization: Bearer $JWT" \
-H "Content-Type: application/json" \
-d '{"key_name": "my-cursor-key", "expires_days": 90}'`, jwt)
	key := keyPattern.FindString(created)
	keyID := submatch(regexp.MustCompile(`"key_id":\s*"([^"]+)"`), created)
	toolsList := func(auth string) string {
		return sh(t, `curl -s -w ' %{http_code}' -X POST http://localhost:8001/messages \
-H "Content-Type: application/json" \
`+auth+`-d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'`)
	}
	auth := `-H "Authorization: Bearer ` + key + `" `

	t.Run("API key created and full key returned (shown only once)", func(t *testing.T) {
		if key == "" || strings.Count(created, key) != 1 {
			t.Fatalf("create answers %s", created)
		}
		list := sh(t, `curl -s http://localhost:8000/api/mcp-keys/list -H "Authorization: Bearer $JWT"`, jwt)
		if strings.Contains(list, key) || !strings.Contains(list, keyID) || !strings.Contains(list, key[:11]+"…") {
			t.Errorf("list answers %s", list)
		}
	})
	t.Run("tools/list returns 401 without API key", func(t *testing.T) {
		if out := toolsList(""); !strings.Contains(out, `"message":"API key required"`) || !strings.HasSuffix(out, " 401") {
			t.Errorf("it answers %s", out)
		}
	})
	t.Run("tools/list returns tool list with valid API key", func(t *testing.T) {
		if out := toolsList(auth); !strings.Contains(out, `"tools":[`) || !strings.HasSuffix(out, " 200") {
			t.Errorf("it answers %s", out)
		}
	})
	t.Run("tools/call records usage in mcp_tool_usage_log", func(t *testing.T) {
		body := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_basic","limit":5}}}`
		if a := do(t, "POST", demoGate, body, "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Fatalf("the call answers %d %s", a.status, a.body)
		}
		eventually(t, "the row", func() bool {
			out := sh(t, `curl -s "http://localhost:8000/api/mcp-usage/history?page=1&page_size=20" -H "Authorization: Bearer $JWT"`, jwt)
			return strings.Contains(out, `"table_name":"stock_basic"`) && strings.Contains(out, `"record_count":5`)
		})
	})
	t.Run("Revoked key returns 401 on subsequent calls", func(t *testing.T) {
		sh(t, `curl -sf -X POST http://localhost:8000/api/mcp-keys/revoke \
-H "Authorization: Bearer $JWT" \
-H "Content-Type: application/json" \
-d '{"key_id": "`+keyID+`"}'`, jwt)
		if out := toolsList(auth); !strings.Contains(out, `"message":"Invalid or expired API key"`) || !strings.HasSuffix(out, " 401") {
			t.Errorf("the next call answers %s", out)
		}
	})
	t.Run("Usage history API returns correct data", func(t *testing.T) {
		out := sh(t, `curl -s "http://localhost:8000/api/mcp-usage/history?page=1&page_size=20" -H "Authorization: Bearer $JWT"`, jwt)
		if !strings.Contains(out, `"total":2,`) && !strings.Contains(out, `"total":2}`) {
			t.Errorf("after two calls it answers %s", out)
		}
	})
	t.Run("Usage stats show daily call counts and top tools", func(t *testing.T) {
		out := sh(t, `curl -s "http://localhost:8000/api/mcp-usage/stats?days=30" -H "Authorization: Bearer $JWT"`, jwt)
		for _, want := range []string{`"days":30`, `"total_calls":2`, `"total_records":8`, `"tool_name":"query_table","calls":2,"records":8`, `"table_name":"stock_basic","calls":1,"records":5`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s is not in %s", want, out)
			}
		}
	})

	d.kill()
	t.Run("no key is on the disk", func(t *testing.T) {
		searchFolder(t, data, d.key, key, d.password)
	})
	t.Run("a second start keeps users, keys and usage", func(t *testing.T) {
		again := startDemo(t, data)
		if again.key != "" || again.password != "" || !strings.Contains(again.output(), d.key[:11]+"…") {
			t.Errorf("the second start prints\n%s", again.output())
		}
		if a := do(t, "POST", demoGate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+d.key); a.status != http.StatusOK {
			t.Errorf("the first key answers %d %s", a.status, a.body)
		}
		if a := do(t, "POST", demoGate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+key); a.status != http.StatusUnauthorized {
			t.Errorf("the revoked key answers %d %s", a.status, a.body)
		}
		login := do(t, "POST", demoAdmin+"/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, d.email, d.password))
		token, _ := login.json(t)["access_token"].(string)
		history := do(t, "GET", demoAdmin+"/api/mcp-usage/history", "", "Authorization: Bearer "+token)
		if total := history.json(t)["total"]; total != 2.0 {
			t.Errorf("the history has %v calls, want 2", total)
		}
		again.stop(t)
	})
	t.Run("a third start makes another key when asked", func(t *testing.T) {
		third := start(t, t.TempDir(), nil, "demo", "--data", data, "--new-key")
		third.await(t, "the demo is ready", func() bool { return strings.Contains(third.output(), "A first call:") })
		if k := keyPattern.FindString(third.output()); k == "" || k == d.key {
			t.Errorf("it prints\n%s", third.output())
		}
	})
	t.Run("a demo whose port is taken says so", func(t *testing.T) {
		taken, err := net.Listen("tcp", ":8000")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		other := start(t, t.TempDir(), nil, "demo", "--data", t.TempDir())
		<-other.exited
		if out := other.output(); !strings.Contains(out, ":8000") || !strings.Contains(out, "address already in use") {
			t.Errorf("it prints\n%s", out)
		}
	})
}

// searchFolder fails the test if a file contains one of the secrets.
func searchFolder(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		content := readFile(t, path)
		for _, secret := range secrets {
			if strings.Contains(content, secret) {
				t.Errorf("%s holds a secret in the clear", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 3 {
		t.Errorf("%s has %d files: the search saw too little", dir, files)
	}
}

// BenchmarkDemoFirstCall is the time from the start of the built binary on a
// new folder to the answer of its first call.
func BenchmarkDemoFirstCall(b *testing.B) {
	for b.Loop() {
		begin := time.Now()
		d := startDemo(b, b.TempDir())
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_basic","limit":5}}}`
		if a := do(b, "POST", demoGate, body, "Authorization: Bearer "+d.key); a.status != http.StatusOK {
			b.Fatalf("%d %s", a.status, a.body)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "s/first-call")
		b.StopTimer()
		d.kill()
		b.StartTimer()
	}
}
