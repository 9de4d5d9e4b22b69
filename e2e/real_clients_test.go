package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// realClient is a client on a library or a bridge that nobody here wrote.
type realClient struct {
	name string
	// walk goes through a session with each target, and returns what it was told.
	walk func(t *testing.T, targets []target) []walkedReal
}

// target is a server, straight or behind a gate.
type target struct {
	URL string `json:"url"`
	Key string `json:"key"` // "" for none
	toolCalls
}

// walkedReal is what a client was told in a session.
type walkedReal struct {
	Error                     string // what ended the session
	Protocol, Server          string
	Tools, Resources, Prompts []string
	Good, Bad, Slow           string // the texts of the results
	Progress                  bool   // was reported of the slow call
}

var realClients = []realClient{
	{"Python SDK", walkWith(func(t *testing.T) []string {
		return []string{filepath.Join(install(t, "pypi", fastMCP), "python"), filepath.Join(root, "e2e/real/client.py"), "auto"}
	})},
	{"TypeScript SDK v1", walkWith(func(*testing.T) []string {
		return []string{npmNode, filepath.Join(root, "e2e/npm/clients/real.mjs"), "v1"}
	})},
	{"TypeScript SDK v2", walkWith(func(*testing.T) []string {
		return []string{npmNode, filepath.Join(root, "e2e/npm/clients/real.mjs"), "v2"}
	})},
	{"Go SDK", walkGo(func(_ *testing.T, to target) sdk.Transport {
		return &sdk.StreamableClientTransport{Endpoint: to.URL, HTTPClient: &http.Client{Transport: withKey{to.Key}}}
	})},
	{"mcp-remote", walkGo(func(t *testing.T, to target) sdk.Transport {
		// As its documentation has it for a key: no space behind the colon, and the
		// key in the environment.
		bridge := exec.Command(npmNode, filepath.Join(install(t, "npm", mcpRemote), "mcp-remote"), to.URL, "--header", "Authorization:Bearer ${KEY}", "--transport", "http-only")
		bridge.Env = append(cleanEnv(), "HOME="+t.TempDir(), "KEY="+to.Key)
		bridge.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return &sdk.CommandTransport{Command: bridge}
	})},
}

// walkWith returns the walk of a program that takes targets as its last argument,
// and prints one line for each.
func walkWith(program func(t *testing.T) []string) func(t *testing.T, targets []target) []walkedReal {
	return func(t *testing.T, targets []target) []walkedReal {
		line := append(program(t), marshal(targets))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, line[0], line[1:]...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		var errs bytes.Buffer
		cmd.Stderr = &errs
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s%s", err, out, errs.String())
		}
		var all []walkedReal
		for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
			var w walkedReal
			if err := lines.Decode(&w); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			all = append(all, w)
		}
		return all
	}
}

// walkGo returns the walk of the Go SDK's client over a transport, to all targets at
// once.
func walkGo(connect func(t *testing.T, to target) sdk.Transport) func(t *testing.T, targets []target) []walkedReal {
	return func(t *testing.T, targets []target) []walkedReal {
		all := make([]walkedReal, len(targets))
		var wait sync.WaitGroup
		for i, to := range targets {
			transport := connect(t, to)
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var err error
				if all[i], err = walkSession(ctx, transport, to.toolCalls); err != nil {
					all[i].Error = err.Error()
				}
			})
		}
		wait.Wait()
		return all
	}
}

func walkSession(ctx context.Context, transport sdk.Transport, calls toolCalls) (w walkedReal, err error) {
	progress := make(chan struct{}, 1000)
	client := sdk.NewClient(&sdk.Implementation{Name: "real-client", Version: "1"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *sdk.ProgressNotificationClientRequest) { progress <- struct{}{} },
	})
	session, err := client.Connect(ctx, transport, nil)
	if err != nil {
		return w, err
	}
	defer session.Close()
	w.Protocol, w.Server = session.InitializeResult().ProtocolVersion, session.InitializeResult().ServerInfo.Name
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return w, err
		}
		w.Tools = append(w.Tools, tool.Name)
	}
	for resource, err := range session.Resources(ctx, nil) {
		if err != nil {
			return w, err
		}
		w.Resources = append(w.Resources, resource.URI)
	}
	for prompt, err := range session.Prompts(ctx, nil) {
		if err != nil {
			return w, err
		}
		w.Prompts = append(w.Prompts, prompt.Name)
	}
	call := func(c toolCall, token any) string {
		params := &sdk.CallToolParams{Name: c.Name, Arguments: c.Arguments}
		if token != nil {
			params.SetProgressToken(token)
		}
		res, err := session.CallTool(ctx, params)
		if err != nil {
			return err.Error() // some servers refuse bad arguments by an error
		}
		var texts []string
		for _, part := range res.Content {
			if text, ok := part.(*sdk.TextContent); ok {
				texts = append(texts, text.Text)
			}
		}
		return strings.Join(texts, " ")
	}
	w.Good, w.Bad, w.Slow = call(calls.Good, nil), call(calls.Bad, nil), call(calls.Slow, "progress")
	w.Progress = len(progress) > 0
	return w, nil
}

// testClient goes through a session with each server, straight and through its gate,
// and checks that the client was told the same, and that each of its calls has a row.
func testClient(t *testing.T, c realClient, all []*realUp) {
	var targets []target
	var ids []string
	for _, u := range all {
		key, id := u.key(t, u.jwt, fmt.Sprintf(`{"key_name":%q}`, c.name))
		ids = append(ids, id)
		targets = append(targets, target{u.url, "", u.calls}, target{u.gate, key, u.calls})
	}
	walks := c.walk(t, targets)
	if len(walks) != len(targets) {
		t.Fatalf("%d sessions with %d targets", len(walks), len(targets))
	}
	for i, u := range all {
		straight, gated := walks[2*i], walks[2*i+1]
		if straight.Error != "" || len(straight.Tools) < 4 || !straight.Progress || straight.Good == straight.Bad {
			t.Errorf("%s, straight: %+v", u.name, straight)
		}
		if diff := cmp.Diff(straight, gated); diff != "" {
			t.Errorf("%s through the gate differs:\n%s", u.name, diff)
			continue
		}
		got, want := map[any]any{}, map[any]any{}
		for _, row := range u.rows(t, ids[i], 3) {
			got[row["tool_name"]] = row["outcome"]
		}
		for _, tool := range []string{u.calls.Good.Name, u.calls.Slow.Name} {
			want[tool] = "ok"
		}
		want[u.calls.Bad.Name] = "tool_error"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the rows are not of its calls:\n%s", u.name, diff)
		}
	}
}
