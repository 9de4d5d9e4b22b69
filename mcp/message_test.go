package mcp

import (
	"strings"
	"testing"
)

func read(t *testing.T, body string) *Message {
	t.Helper()
	var b Body
	if err := b.Read([]byte(body), false); err != nil {
		t.Fatal(err)
	}
	return &b.Messages[0]
}

func TestPublic(t *testing.T) {
	for _, tt := range []struct {
		body   string
		public bool
		call   bool
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, true, false},
		{`{"jsonrpc":"2.0","method":"notifications/initialized"}`, true, false},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, true, false},
		{`{"jsonrpc":"2.0","id":1,"method":"p\u0069ng"}`, true, false},
		{`{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, true, false},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ping"}}`, false, true},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}`, false, false},
		{`{"jsonrpc":"2.0","method":"notifications/cancelled"}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"method":"Ping"}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"method":"ping "}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"method":"ping\u0000"}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"method":"ping/"}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"method":""}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"method":"something/new"}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"result":{"method":"ping"}}`, false, false},
		{`{"jsonrpc":"2.0","id":1,"error":{}}`, false, false},
	} {
		m := read(t, tt.body)
		if m.Public() != tt.public || m.IsCall() != tt.call {
			t.Errorf("%s: public %v, call %v", tt.body, m.Public(), m.IsCall())
		}
	}
}

func TestClientInfo(t *testing.T) {
	for _, tt := range []struct {
		name, body                string
		protocol, client, version string
	}{
		{"initialize",
			`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"cursor \u00e9","version":"1.2"}}}`,
			"2025-06-18", "cursor é", "1.2"},
		{"initialize, escaped names",
			`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol\u0056ersion":"2025-06-18","clientInf\u006f":{"n\u0061me":"x"}}}`,
			"2025-06-18", "x", ""},
		{"2026-07-28",
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"inspector","version":"2"},"io.modelcontextprotocol/clientCapabilities":{}}}}`,
			"2026-07-28", "inspector", "2"},
		{"2026-07-28 discover without clientInfo",
			`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
			"2026-07-28", "", ""},
		{"not where they belong",
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","protocolVersion":"x","clientInfo":{"name":"x"},"arguments":{"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}}}`,
			"", "", ""},
		{"no strings",
			`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1,"clientInfo":{"name":true,"version":["1"]},"_meta":[]}}`,
			"", "", ""},
		{"null", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"1","clientInfo":null}}`, "1", "", ""},
		{"no params", `{"jsonrpc":"2.0","id":1,"method":"initialize"}`, "", "", ""},
		{"a response", `{"jsonrpc":"2.0","id":1,"result":{},"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}}`, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			protocol, name, version := read(t, tt.body).ClientInfo()
			if protocol != tt.protocol || name != tt.client || version != tt.version {
				t.Errorf("got %q, %q, %q", protocol, name, version)
			}
		})
	}
}

func TestReferenceTypes(t *testing.T) {
	for params, want := range map[string]string{
		`{}`: "",
		`{"ref":{"type":"ref/prompt","name":"p"}}`:        "ref/prompt",
		`{"ref":{"name":"type"},"argument":{"type":"x"}}`: "",
		`{"r\u0065f":{"TYPE":"a","t\u0079pe":"b"}}`:       "a b",
		`{"ref":{"type":7}}`:                              "",
		`{"ref":"type"}`:                                  "",
	} {
		m := read(t, `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":`+params+`}`)
		if got := strings.Join(m.ReferenceTypes(), " "); got != want {
			t.Errorf("%s: %q, want %q", params, got, want)
		}
	}
}

func TestSubscribesToResources(t *testing.T) {
	for params, want := range map[string]bool{
		`{}`: false, `{"notifications":{"resourcesListChanged":true}}`: false, `{"notifications":{"resourceSubscriptions":[]}}`: false,
		`{"notifications":{"resourceSubscriptions":null}}`: false, `{"notifications":{"resourceSubscriptions":["u"]}}`: true,
		`{"notifications":{"resource_subscriptions":["u"]}}`: true, `{"notifications":{"resourceSubscriptions":"u"}}`: true,
		`{"notifications":{"resourceSubscriptions":[],"ResourceSubscriptions":["u"]}}`: true, `{"resourceSubscriptions":["u"]}`: false,
	} {
		m := read(t, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":`+params+`}`)
		if got := m.SubscribesToResources(); got != want {
			t.Errorf("%s: %t, want %t", params, got, want)
		}
	}
}

func TestIntern(t *testing.T) {
	for _, method := range []string{"initialize", "tools/call", "ping", "server/discover", "subscriptions/listen",
		"tools/list", "prompts/list", "prompts/get", "resources/list", "resources/read", "resources/templates/list",
		"resources/subscribe", "resources/unsubscribe", "completion/complete", "logging/setLevel",
		"tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "tasks/update",
		"notifications/initialized", "notifications/cancelled", "notifications/progress",
		"notifications/roots/list_changed", "something/else"} {
		if got := internMethod([]byte(method)); got != method {
			t.Errorf("%s became %s", method, got)
		}
	}
}
