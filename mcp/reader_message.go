package mcp

// fields are a message's members as JSON text, nil where they are absent.
type fields struct {
	jsonrpc, id, method, params, result, err []byte
	name, meta, arguments                    []byte // of params
	taskID, state, inputs, requestID         []byte // likewise
}

// member returns where to keep the value of a message's member, or nil if the
// protocol has no such member.
func (f *fields) member(name []byte) *[]byte {
	switch string(name) {
	case "jsonrpc":
		return &f.jsonrpc
	case "id":
		return &f.id
	case "method":
		return &f.method
	case "params":
		return &f.params
	case "result":
		return &f.result
	case "error":
		return &f.err
	}
	return nil
}

// param returns where to keep the value of a member of params, or nil if it does
// not matter here.
func (f *fields) param(name []byte) *[]byte {
	switch string(name) {
	case "name":
		return &f.name
	case "_meta":
		return &f.meta
	case "arguments":
		return &f.arguments
	case "taskId":
		return &f.taskID
	case "requestState":
		return &f.state
	case "inputResponses":
		return &f.inputs
	case "requestId":
		return &f.requestID
	}
	return nil
}

// message fills in m, or returns the reason why the fields are not a message.
func (f *fields) message(m *Message) (reason string) {
	if f.jsonrpc == nil {
		return `"jsonrpc": "2.0" is missing`
	}
	if version, _ := DecodeString(f.jsonrpc); string(version) != "2.0" {
		return `"jsonrpc" is not "2.0"`
	}
	if f.method == nil {
		return f.response(m)
	}
	return f.request(m)
}

// request fills in a request or a notification.
func (f *fields) request(m *Message) (reason string) {
	if f.result != nil || f.err != nil {
		return "a message has either a method or a result or an error"
	}
	method, ok := DecodeString(f.method)
	if !ok {
		return `"method" is not a string, or contains an unpaired UTF-16 surrogate`
	}
	m.Method = internMethod(method)
	m.Kind, m.ID = Request, f.id
	if f.id == nil {
		m.Kind = Notification
	} else if !validID(f.id) {
		return badID
	}
	// Some encoders write null for absent params, and no decoder finds a parameter
	// in it. JSON-RPC also has params that are an array, MCP does not.
	if f.params != nil && f.params[0] != 'n' {
		if f.params[0] != '{' {
			return `"params" is not an object`
		}
		m.Params, m.meta = f.params, f.meta
	}
	switch m.Method {
	case methodCall:
		return f.call(m)
	case "notifications/cancelled":
		m.Cancels = f.requestID
	default:
		if m.IsAboutTask() {
			if id, ok := DecodeString(f.taskID); ok { // any other value names no task
				m.TaskID = string(id)
			}
		}
	}
	return ""
}

// call fills in what only a tools/call has.
func (f *fields) call(m *Message) (reason string) {
	// An upstream might run a call that came as a notification, but no answer
	// would end it. And decoders differ in what they make of a name that is not a
	// string.
	if m.Kind != Request {
		return "a tools/call without an id"
	}
	if f.name == nil {
		return `a tools/call without "name" in its params`
	}
	tool, ok := DecodeString(f.name)
	if !ok {
		return `the "name" of a tools/call is not a string, or contains an unpaired UTF-16 surrogate`
	}
	m.Tool = Intern(tool)[0]
	m.arguments, m.state = f.arguments, f.state
	m.Retry = f.state != nil || f.inputs != nil
	return ""
}

// response fills in a response. Some encoders write null for an absent result or
// error.
func (f *fields) response(m *Message) (reason string) {
	isError := f.err != nil && f.err[0] != 'n'
	switch {
	case f.result == nil && f.err == nil:
		return "a message has a method, a result or an error"
	case isError && f.result != nil && f.result[0] != 'n':
		return "a response has either a result or an error"
	}
	m.Kind = Response
	if f.id == nil || f.id[0] == 'n' {
		if !isError { // an error may answer a message whose id could not be read
			return "a result without the id that it answers"
		}
		return ""
	}
	if !validID(f.id) {
		return badID
	}
	m.ID = f.id
	return ""
}

const badID = `"id" is neither a string without unpaired UTF-16 surrogates nor an integer from -2^63 to below 2^63`
