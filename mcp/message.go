package mcp

import (
	"bytes"
	"crypto/sha256"

	"github.com/tidwall/gjson"
)

// Kind of a JSON-RPC message.
type Kind uint8

// The kinds.
const (
	Request      Kind = iota // has a method and an id; an answer is due
	Notification             // has a method and no id
	Response                 // has a result or an error: the client answers the upstream
)

// Message is one JSON-RPC 2.0 message as it stands in a request body. Its
// slices alias the body.
type Message struct {
	Kind   Kind
	ID     []byte // the id as JSON text; nil for a notification, or an error without an id
	Method string // decoded; "" for a response
	Tool   string // params.name, decoded, of a tools/call; "" otherwise
	Raw    []byte // the message itself, without space around it
	Params []byte // the params object as JSON text; nil if absent or null
	TaskID string // params.taskId, decoded, of a tasks/get, tasks/result or tasks/cancel; "" otherwise

	// Cancels is params.requestId, as JSON text, of a notifications/cancelled: the
	// id of the request that its sender has given up; nil otherwise.
	Cancels []byte

	// Retry tells that a tools/call goes on with one before it, whose result was
	// input_required (revision 2026-07-28): see StateKey and ArgumentsKey.
	Retry bool

	meta      []byte // params._meta as JSON text; nil if absent
	arguments []byte // of a tools/call, likewise
	state     []byte // params.requestState of a tools/call, likewise
}

// The methods that the gate treats by name.
const (
	methodInitialize = "initialize"
	methodCall       = "tools/call"
)

// Public tells whether the message needs no key: what every client sends
// before it can show a missing key to its user. Nothing else is public: not a
// method that nobody has heard of, and not a response.
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

// IsCall tells whether the message is a tools/call.
func (m *Message) IsCall() bool {
	return m.Kind == Request && m.Method == methodCall
}

// ClientInfo is what the message says of the client that sent it; "" where it
// says nothing. Up to revision 2025-11-25 only initialize does, in its params;
// from 2026-07-28 on every request may, under reserved names in params._meta.
// The client's word is all there is to it: it is for the record, not for a
// decision.
func (m *Message) ClientInfo() (protocolVersion, name, version string) {
	if m.Method == methodInitialize {
		if protocolVersion = member(m.Params, "protocolVersion"); protocolVersion != "" {
			return protocolVersion, member(m.Params, "clientInfo.name"), member(m.Params, "clientInfo.version")
		}
	}
	const prefix = `io\.modelcontextprotocol/`
	if !bytes.Contains(m.meta, []byte("io.modelcontextprotocol/")) && bytes.IndexByte(m.meta, '\\') < 0 {
		return "", "", "" // often there is nothing but a progressToken
	}
	return member(m.meta, prefix+"protocolVersion"),
		member(m.meta, prefix+"clientInfo.name"),
		member(m.meta, prefix+"clientInfo.version")
}

// StateKey is the SHA-256 of the requestState that a retry brings back, as its
// text, which the result that asked for input had; not ok where there is none.
func (m *Message) StateKey() (key [sha256.Size]byte, ok bool) {
	text, ok := DecodeString(m.state)
	return sha256.Sum256(text), ok
}

// ArgumentsKey is a digest of a tools/call's tool and arguments, which a retry
// repeats.
func (m *Message) ArgumentsKey() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(m.Tool))
	h.Write([]byte{0})
	h.Write(m.arguments)
	return [sha256.Size]byte(h.Sum(nil))
}

// member is the string at a gjson path; "" if there is none.
func member(object []byte, path string) string {
	if r := gjson.GetBytes(object, path); r.Type == gjson.String {
		return r.Str
	}
	return ""
}

// intern is string(method) without an allocation for the methods that clients
// send, of all revisions.
func intern(method []byte) string {
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
