package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// Kind is the kind of a JSON-RPC message.
type Kind uint8

// The kinds.
const (
	Request      Kind = iota // has a method and an id, and is answered
	Notification             // has a method and no id
	Response                 // has a result or an error: the client answers a request of the upstream
)

// Message is one JSON-RPC 2.0 message of a request body. Its slices alias the
// body.
type Message struct {
	Kind   Kind
	ID     []byte // the id as JSON text; nil for a notification, or an error without an id
	Method string // decoded; "" for a response
	Tool   string // params.name, decoded, of a tools/call; "" otherwise
	Raw    []byte // the message itself, without white space around it
	Params []byte // the params object as JSON text; nil if absent or null
	TaskID string // params.taskId, decoded, where IsAboutTask; "" otherwise

	// Cancels is params.requestId of a notifications/cancelled as JSON text: the id
	// of the request that its sender has given up. It is nil otherwise.
	Cancels []byte

	// Retry is set if a tools/call continues an earlier one whose result was
	// input_required (revision 2026-07-28): see StateKey and ArgumentsKey.
	Retry bool

	meta      []byte // params._meta as JSON text; nil if absent
	arguments []byte // params.arguments of a tools/call as JSON text; nil if absent
	state     []byte // params.requestState of a tools/call as JSON text; nil if absent
}

// Methods that are used more than once here.
const (
	methodInitialize = "initialize"
	methodCall       = "tools/call"
)

// Public reports whether the message needs no key. These are the messages that
// every client sends before it can tell its user that a key is missing. Nothing
// else is public, neither unknown methods nor responses.
func (m *Message) Public() bool {
	if m.Kind == Response {
		return false
	}
	switch m.Method {
	case methodInitialize, "notifications/initialized", "ping", "server/discover":
		return true
	}
	return false
}

// IsCall reports whether the message is a tools/call.
func (m *Message) IsCall() bool {
	return m.Kind == Request && m.Method == methodCall
}

// IsAboutTask reports whether the message asks for something of one task:
// tasks/get, tasks/result, tasks/cancel (MCP 2025-11-25), tasks/update (the tasks
// extension), and whatever else may be added to them.
func (m *Message) IsAboutTask() bool {
	return strings.HasPrefix(m.Method, "tasks/") && m.Method != "tasks/list"
}

// MentionedTasks returns the ids of the tasks that the message mentions without
// being about one: those whose notifications a subscriptions/listen asks for (the
// tasks extension), and the one to which params._meta relates the message (MCP
// 2025-11-25, tasks, related task metadata), which may also be a task of the
// client's own.
func (m *Message) MentionedTasks() (ids []string) {
	if m.Method == "subscriptions/listen" {
		for _, id := range gjson.GetBytes(m.Params, "notifications.taskIds").Array() {
			ids = append(ids, id.String())
		}
	}
	if bytes.Contains(m.meta, []byte("related-task")) || bytes.IndexByte(m.meta, '\\') >= 0 {
		if id := member(m.meta, `io\.modelcontextprotocol/related-task.taskId`); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// ClientInfo returns what the message says about the client that sent it, "" for
// what it does not say. Up to revision 2025-11-25 only initialize does, in its
// params; since 2026-07-28 every request may, under reserved names in
// params._meta. Nothing proves it: it is good for the record, not for decisions.
func (m *Message) ClientInfo() (protocolVersion, name, version string) {
	if m.Method == methodInitialize {
		if protocolVersion = member(m.Params, "protocolVersion"); protocolVersion != "" {
			return protocolVersion, member(m.Params, "clientInfo.name"), member(m.Params, "clientInfo.version")
		}
	}
	const prefix = `io\.modelcontextprotocol/`
	if !bytes.Contains(m.meta, []byte("io.modelcontextprotocol/")) && bytes.IndexByte(m.meta, '\\') < 0 {
		return "", "", "" // usually _meta has nothing but a progressToken
	}
	return member(m.meta, prefix+"protocolVersion"),
		member(m.meta, prefix+"clientInfo.name"),
		member(m.meta, prefix+"clientInfo.version")
}

// ReferenceTypes returns params.ref.type of a completion/complete, as in
// ref/prompt: one text for each member that some decoder takes for it, "" for one
// that is not a string.
func (m *Message) ReferenceTypes() (types []string) {
	eachMember(m.Params, "ref", func(ref []byte) {
		eachMember(ref, "type", func(value []byte) {
			text, _ := DecodeString(value)
			types = append(types, string(text))
		})
	})
	return types
}

// SubscribesToResources reports whether a subscriptions/listen (revision
// 2026-07-28) asks for the updates of resources. Being told that the list of
// resources has changed is no subscription.
func (m *Message) SubscribesToResources() (found bool) {
	eachMember(m.Params, "notifications", func(filter []byte) {
		eachMember(filter, "resourceSubscriptions", func(uris []byte) {
			found = found || string(uris) != "null" && len(gjson.ParseBytes(uris).Array()) > 0
		})
	})
	return found
}

// eachMember calls f with the value, as JSON text, of each member of an object
// that some decoder takes for the member with this name.
func eachMember(object []byte, name string, f func(value []byte)) {
	folded := AppendFolded(nil, []byte(name))
	gjson.ParseBytes(object).ForEach(func(key, value gjson.Result) bool {
		decoded, _ := DecodeString([]byte(key.Raw))
		if bytes.Equal(AppendFolded(nil, decoded), folded) {
			f([]byte(value.Raw))
		}
		return true
	})
}

// Arguments returns params.arguments of a tools/call as JSON text, or nil.
func (m *Message) Arguments() []byte { return m.arguments }

// StateKey returns the SHA-256 of the text of the requestState that a retry
// brings back from the result that asked for input, or of "" if it has none.
func (m *Message) StateKey() [sha256.Size]byte {
	text, _ := DecodeString(m.state)
	return sha256.Sum256(text)
}

// ArgumentsKey returns a digest of the tool and the arguments of a tools/call,
// which a retry repeats. It does not depend on the order of members, on white
// space or on escapes, in which a client's second encoding may differ.
func (m *Message) ArgumentsKey() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(m.Tool))
	h.Write([]byte{0})
	h.Write(canonical(m.arguments))
	return [sha256.Size]byte(h.Sum(nil))
}

// canonical returns a JSON value with its members sorted and without white space.
// Numbers stay as they are written.
func canonical(value []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) == nil {
		if text, err := json.Marshal(v); err == nil {
			return text
		}
	}
	return value // there is none
}

// member returns the string at a gjson path, or "".
func member(object []byte, path string) string {
	if r := gjson.GetBytes(object, path); r.Type == gjson.String {
		return r.Str
	}
	return ""
}

// internMethod returns string(method), without an allocation for the methods
// that clients send in any revision.
func internMethod(method []byte) string {
	switch string(method) {
	case methodInitialize:
		return methodInitialize
	case methodCall:
		return methodCall
	case "ping":
		return "ping"
	case "server/discover":
		return "server/discover"
	case "subscriptions/listen":
		return "subscriptions/listen"
	case "tools/list":
		return "tools/list"
	case "prompts/list":
		return "prompts/list"
	case "prompts/get":
		return "prompts/get"
	case "resources/list":
		return "resources/list"
	case "resources/read":
		return "resources/read"
	case "resources/templates/list":
		return "resources/templates/list"
	case "resources/subscribe":
		return "resources/subscribe"
	case "resources/unsubscribe":
		return "resources/unsubscribe"
	case "completion/complete":
		return "completion/complete"
	case "logging/setLevel":
		return "logging/setLevel"
	case "tasks/get":
		return "tasks/get"
	case "tasks/result":
		return "tasks/result"
	case "tasks/list":
		return "tasks/list"
	case "tasks/cancel":
		return "tasks/cancel"
	case "tasks/update":
		return "tasks/update"
	case "notifications/initialized":
		return "notifications/initialized"
	case "notifications/cancelled":
		return "notifications/cancelled"
	case "notifications/progress":
		return "notifications/progress"
	case "notifications/roots/list_changed":
		return "notifications/roots/list_changed"
	}
	return string(method)
}
