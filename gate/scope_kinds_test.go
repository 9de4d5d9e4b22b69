package gate_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/identity"
)

// startServers starts gates of two servers, stock and files, in front of one
// upstream, which answers every request with a result that has every list. It
// returns the sites, which share users, keys and sessions, and the number of
// requests that have reached the upstream.
func startServers(t *testing.T) (stock, files *site, reached *atomic.Int64) {
	t.Helper()
	reached = new(atomic.Int64)
	address := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":`+everyList+`}`)
	})
	stock = startSite(t, address, func(c *gate.Config) { c.Server = "stock" })
	files = startSite(t, address, func(c *gate.Config) { c.Server = "files" })
	files.authority = stock.authority
	files.backend.Store(stock.backend.Load())
	return stock, files, reached
}

const everyList = `{"tools":[{"name":"query_a"},{"name":"run_sql"}],"resources":[{"uri":"u","name":"r"}],"resourceTemplates":[{"uriTemplate":"t","name":"r"}],"prompts":[{"name":"p"}]}`

func message(method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)
}

// TestScopeOfServer: a scope with a server's name is good for that server alone,
// in calls and in lists.
func TestScopeOfServer(t *testing.T) {
	stock, files, reached := startServers(t)
	key, _ := stock.issue(t, identity.KeySpec{Name: "scoped", Scopes: []string{"stock/query_*", "files/run_*", "!files/run_secret"}})
	for _, c := range []struct {
		at    *site
		tool  string
		calls bool
	}{
		{stock, "query_a", true}, {stock, "run_sql", false}, {files, "query_a", false}, {files, "run_sql", true}, {files, "run_secret", false},
		{stock, "run_secret", false}, {stock, "stock/query_a", false},
	} {
		before := reached.Load()
		a := c.at.post(t, key, message("tools/call", fmt.Sprintf(`{"name":%q}`, c.tool)))
		if denied := strings.Contains(a.body, `"code":40302`); a.status != 200 || denied == c.calls || (reached.Load() > before) != c.calls {
			t.Errorf("%s: %d %s", c.tool, a.status, a.body)
		}
	}
	if a := stock.post(t, key, message("tools/list", "{}")); !strings.Contains(a.body, `"tools":[{"name":"query_a"}]`) {
		t.Errorf("tools of stock: %s", a.body)
	}
	if a := files.post(t, key, message("tools/list", "{}")); !strings.Contains(a.body, `"tools":[{"name":"run_sql"}]`) {
		t.Errorf("tools of files: %s", a.body)
	}
	for _, row := range stock.journal.Await(t, 7) {
		if s := row["server"]; s != "stock" && s != "files" {
			t.Errorf("the row %v", row)
		}
	}
}

// TestScopeOfResourcesAndPrompts: a key with scopes may use neither unless they
// are named, and no method that nobody knows.
func TestScopeOfResourcesAndPrompts(t *testing.T) {
	stock, files, reached := startServers(t)
	keys := map[string]string{}
	for name, scopes := range map[string][]string{
		"free": nil, "tools": {"*"}, "denials": {"!run_sql"}, "resources": {"resources"}, "prompts": {"files/*", "prompts"}, "stock": {"stock/resources", "stock/prompts"},
		"both": {"*", "resources", "prompts"},
	} {
		keys[name], _ = stock.issue(t, identity.KeySpec{Name: name, Scopes: scopes})
	}
	const (
		resources = "free resources stock both"
		prompts   = "free prompts stock both"
		all       = "free tools denials resources prompts stock both"
	)
	for _, c := range []struct {
		message string
		may     string // the keys that may
		says    string
	}{
		{message("resources/read", `{"uri":"u"}`), resources, `a key with the scope \"resources\" may`},
		{message("resources/subscribe", `{"uri":"u"}`), resources, "resources"},
		{message("resources/unsubscribe", `{"uri":"u"}`), resources, "resources"},
		{message("prompts/get", `{"name":"p"}`), prompts, `a key with the scope \"prompts\" may`},
		{message("completion/complete", `{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}}`), prompts, "prompts"},
		{message("completion/complete", `{"ref":{"type":"ref/resource","uri":"u"}}`), resources, "resources"},
		{message("completion/complete", `{"r\u0065f":{"Type":"ref/resource","typ\u0065":"ref/prompt"}}`), "free stock both", ""},
		{message("completion/complete", `{"ref":{"type":"ref/other"}}`), "free", `method \"completion/complete\"`},
		{message("completion/complete", `{"ref":{"type":["ref/prompt"]}}`), "free", ""},
		{message("completion/complete", `{}`), "free", ""},
		{message("subscriptions/listen", `{"notifications":{"toolsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":[]}}`), all, ""},
		{message("subscriptions/listen", `{"notifications":{"resourceSubscriptions":["u"]}}`), resources, "resources"},
		{message("subscriptions/listen", `{"notifications":{"ResourceSubscription\u017f":["u"]}}`), resources, "resources"},
		{message("resources/delete", `{}`), "free", `method \"resources/delete\"`},
		{message("tools/execute", `{}`), "free", `may not use the method \"tools/execute\"; a key without scopes may`},
		{message("Tools/list", `{}`), "free", ""},
		{message("sampling/createMessage", `{}`), "free", ""},
		{message("logging/setLevel", `{"level":"info"}`), all, ""},
		{message("ping", `{}`), all, ""},
		{`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`, all, ""},
		{`{"jsonrpc":"2.0","id":7,"result":{}}`, all, ""},
		{message("resources/list", `{}`), all, ""},
		{message("resources/templates/list", `{}`), all, ""},
		{message("prompts/list", `{}`), all, ""},
	} {
		for name, key := range keys {
			before := reached.Load()
			a := stock.post(t, key, c.message)
			may := strings.Contains(" "+c.may+" ", " "+name+" ")
			denied := strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":1,"error":{"code":40302,`) && strings.Contains(a.body, c.says)
			if a.status != 200 || denied == may || (reached.Load() > before) != may {
				t.Errorf("%s, %s: %d %s", name, c.message, a.status, a.body)
			}
		}
	}
	if a := files.post(t, keys["stock"], message("resources/read", `{"uri":"u"}`)); !strings.Contains(a.body, `"code":40302`) {
		t.Errorf("the resources of another server: %s", a.body)
	}

	// A request that is sent as a notification has no answer, and is refused all the
	// same.
	for _, method := range []string{"resources/subscribe", "tools/execute"} {
		before := reached.Load()
		a := stock.post(t, keys["tools"], fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{}}`, method))
		if a.status != 400 || !strings.Contains(a.body, `"code":40302`) || reached.Load() != before {
			t.Errorf("%s without an id: %d %s", method, a.status, a.body)
		}
	}
	a := stock.post(t, keys["tools"], `[`+message("tools/call", `{"name":"a"}`)+`,`+`{"jsonrpc":"2.0","id":2,"method":"prompts/get"}]`)
	if a.status != 200 || strings.Count(a.body, `"code":40302`) != 2 {
		t.Errorf("a batch: %d %s", a.status, a.body)
	}
}

// TestScopedListsOfResourcesAndPrompts: lists show no resources and prompts that
// the key may not use, as they show no tools.
func TestScopedListsOfResourcesAndPrompts(t *testing.T) {
	stock, files, _ := startServers(t)
	const (
		tools     = `"tools":[{"name":"query_a"},{"name":"run_sql"}]`
		resources = `"resources":[{"uri":"u","name":"r"}],"resourceTemplates":[{"uriTemplate":"t","name":"r"}]`
		prompts   = `"prompts":[{"name":"p"}]`

		noTools, noResources, noPrompts = `"tools":[]`, `"resources":[],"resourceTemplates":[]`, `"prompts":[]`
	)
	for _, c := range []struct {
		at     *site
		scopes string
		want   []string
	}{
		{stock, "", []string{tools, resources, prompts}},
		{stock, "*", []string{tools, noResources, noPrompts}},
		{stock, "resources", []string{noTools, resources, noPrompts}},
		{stock, "stock/prompts", []string{noTools, noResources, prompts}},
		{files, "stock/prompts !x/prompts", []string{noTools, noResources, noPrompts}},
		{files, "files/* resources prompts", []string{tools, resources, prompts}},
	} {
		key, _ := stock.issue(t, identity.KeySpec{Name: "k", Scopes: strings.Fields(c.scopes)})
		want := `{"jsonrpc":"2.0","id":1,"result":{` + strings.Join(c.want, ",") + `}}`
		if a := c.at.post(t, key, message("prompts/list", "{}")); a.body != want {
			t.Errorf("%q: %s, want %s", c.scopes, a.body, want)
		}
	}
}
