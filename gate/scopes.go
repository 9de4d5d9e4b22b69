package gate

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/toolfilter"
)

// checkScope refuses a request that asks for something outside the key's scopes.
// The status is 200, as for any call that ends in an error: on 403 clients look
// for an authorization server to ask for more. Where no message has an answer it
// is 400 (MCP 2025-11-25, transports, sending messages to the server).
func (x *exchange) checkScope() *refusal {
	if x.principal.Scope == nil {
		return nil
	}
	for i := range x.body.Messages {
		message := x.outsideScope(&x.body.Messages[i])
		if message == "" {
			continue
		}
		ref := &refusal{status: http.StatusOK, reason: reasonScope, code: codeScope, message: message}
		if !slices.ContainsFunc(x.body.Messages, func(m mcp.Message) bool { return m.Kind == mcp.Request }) {
			ref.status = http.StatusBadRequest
		}
		return ref
	}
	return nil
}

// outsideScope returns what to tell the client about a message that asks for
// something outside the key's scopes, or "".
func (x *exchange) outsideScope(msg *mcp.Message) string {
	scope, server := x.principal.Scope, x.gate.server
	if tool, ok := x.toolOf(msg); ok && !scope.AllowsTool(server, tool) {
		return fmt.Sprintf("This API key may not call the tool %q", clip(tool))
	}
	switch needs := needsOf(msg); {
	case needs.unknown:
		return fmt.Sprintf("This API key may not use the method %q; a key without scopes may", clip(msg.Method))
	case needs.resources && !scope.AllowsResources(server):
		return `This API key may not use resources; a key with the scope "resources" may`
	case needs.prompts && !scope.AllowsPrompts(server):
		return `This API key may not use prompts; a key with the scope "prompts" may`
	}
	return ""
}

// needs is what a key with scopes needs for a message, beside the tools.
type needs struct {
	resources, prompts bool
	unknown            bool // nobody can say: no scope is enough
}

// needsOf returns what a message needs. The lists of resources and prompts need
// nothing, since they are filtered. A method that is not here may do anything.
func needsOf(msg *mcp.Message) (n needs) {
	if msg.Kind == mcp.Response || msg.Public() || msg.Kind == mcp.Notification && strings.HasPrefix(msg.Method, "notifications/") {
		return n
	}
	switch msg.Method {
	case "tools/call", "tools/list", "resources/list", "resources/templates/list", "prompts/list", "logging/setLevel",
		"tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "tasks/update":
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		n.resources = true
	case "prompts/get":
		n.prompts = true
	case "subscriptions/listen":
		n.resources = msg.SubscribesToResources()
	case "completion/complete":
		types := msg.ReferenceTypes()
		n.resources = slices.Contains(types, "ref/resource")
		n.prompts = slices.Contains(types, "ref/prompt")
		n.unknown = len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return t != "ref/resource" && t != "ref/prompt" })
	default:
		n.unknown = true
	}
	return n
}

// shownLists returns what the key may see of the lists in a response.
func (x *exchange) shownLists() []toolfilter.List {
	scope, server := x.principal.Scope, x.gate.server
	none := func(string) bool { return false }
	lists := []toolfilter.List{{Name: "tools", ID: "name", Allowed: func(tool string) bool { return scope.AllowsTool(server, tool) }}}
	if !scope.AllowsResources(server) {
		lists = append(lists, toolfilter.List{Name: "resources", ID: "uri", Allowed: none}, toolfilter.List{Name: "resourceTemplates", ID: "uriTemplate", Allowed: none})
	}
	if !scope.AllowsPrompts(server) {
		lists = append(lists, toolfilter.List{Name: "prompts", ID: "name", Allowed: none})
	}
	return lists
}
