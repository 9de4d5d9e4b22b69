//go:build wild

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The official conformance suite: the released version, and the newest one that
// knows 2026-07-28.
const (
	conformanceReleased = "@modelcontextprotocol/conformance@0.1.16"
	conformanceNewest   = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
)

// TestConformance runs the official suite on servers, straight and through the gate:
// every check of every scenario that passes straight passes through the gate. (mcp-go is left out: its server
// loses notifications, and so fails other checks each time.)
func TestConformance(t *testing.T) {
	goSDK := realServer{name: "go-sdk", path: "/mcp", command: goSDKConformance("-stateless=false")}
	stateless := realServer{name: "go-sdk, stateless", path: "/mcp", command: goSDKConformance()}
	python := realServer{name: "FastMCP", path: "/mcp", command: pythonServer("fastmcp")}
	of2026 := []string{"--requirements", "2026-07-28"}
	for _, c := range []struct {
		server realServer
		suite  string
		args   []string
		least  int // checks that have to pass
	}{
		{goSDK, conformanceReleased, nil, 40},
		{goSDK, conformanceNewest, []string{"--requirements", "2025-11-25"}, 80},
		{stateless, conformanceReleased, nil, 25},
		{stateless, conformanceNewest, of2026, 160},
		{python, conformanceNewest, of2026, 100},
	} {
		t.Run(c.server.name+" "+filepath.Base(c.suite), func(t *testing.T) {
			direct := c.server.start(t)
			eventually(t, "the server listens", func() bool { return listening(hostOf(direct)) })
			s := startRealSite(t, direct)
			key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
			program := append([]string{filepath.Join(install(t, "npm", c.suite), "conformance"), "server"}, c.args...)
			straight, passed := conformance(t, append(program, "--url", direct))
			gated, _ := conformance(t, append(program, "--url", withKeyAdded(t, s.gate, key)))
			if passed < c.least {
				t.Errorf("straight, %d checks pass, want at least %d", passed, c.least)
			}
			t.Logf("%d checks pass in %d scenarios", passed, len(straight))
			for name, want := range straight {
				for i := range min(len(want), len(gated[name])) {
					if want[i].Status == "FAILURE" { // the gate may refuse what the server should
						want[i].Status = gated[name][i].Status
					}
				}
				if diff := cmp.Diff(want, gated[name], cmpopts.IgnoreFields(check{}, "ErrorMessage")); diff != "" {
					t.Errorf("through the gate, %s differs:\n%s%+v", name, diff, gated[name])
				}
			}
		})
	}
}

// check is one of a scenario's. A scenario may make the same one several times.
type check struct{ ID, Status, ErrorMessage string }

// scenarioFolder is where the suite writes a scenario's checks.
var scenarioFolder = regexp.MustCompile(`server-(.+)-\d{4}-\d\d-\d\dT[^/]+/checks\.json$`)

// conformance runs the suite. It returns the checks of each scenario, and how many of
// all passed.
func conformance(t *testing.T, line []string) (scenarios map[string][]check, passed int) {
	t.Helper()
	dir := t.TempDir()
	out, errs, err := runProgram(t, npmNode, append(line, "-o", dir)...) // it fails when a check does
	files, _ := filepath.Glob(filepath.Join(dir, "*/checks.json"))
	if len(files) == 0 {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	scenarios = map[string][]check{}
	for _, file := range files {
		name := scenarioFolder.FindStringSubmatch(file)
		if name == nil {
			t.Fatalf("%s is of no scenario", file)
		}
		var all []check
		decode(t, []byte(readFile(t, file)), &all)
		scenarios[name[1]] = append(scenarios[name[1]], all...)
		for _, c := range all {
			if c.Status == "SUCCESS" {
				passed++
			}
		}
	}
	return scenarios, passed
}

// withKeyAdded serves what is at an address, with a key added to each request, for
// clients that cannot be given one. It returns the URL.
func withKeyAdded(t *testing.T, to, key string) string {
	t.Helper()
	where, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = where.Scheme, where.Host, r.In.Host
			r.Out.Header.Set("Authorization", "Bearer "+key)
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A body that is still being read when the answer comes would break it off.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + where.Path
}
