package mcp

// fields are a message's members as JSON text, nil where they are absent.
type fields struct {
	jsonrpc, id, method, params, result, err []byte
	name, meta, arguments                    []byte // of params
	taskID, state, inputs, requestID         []byte // likewise
}

// member is where the value of a message's member goes; nil if it is none of
// the protocol's.
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

// param is where the value of a member of params goes; nil if it does not
// matter here.
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

// message fills in m, or returns why the fields make no message.
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
		return `"method" is not a string of whole characters`
	}
	m.Method = intern(method)
	m.Kind, m.ID = Request, f.id
	if f.id == nil {
		m.Kind = Notification
	} else if !validID(f.id) {
		return badID
	}
	// Encoders that know no absence write null, and no decoder finds a
	// parameter in it. An array is JSON-RPC's, but not MCP's.
	if f.params != nil && f.params[0] != 'n' {
		if f.params[0] != '{' {
			return `"params" is not an object`
		}
		m.Params, m.meta = f.params, f.meta
	}
	switch m.Method {
	case methodCall:
		return f.call(m)
	case "tasks/get", "tasks/result", "tasks/cancel":
		if id, ok := DecodeString(f.taskID); ok { // what is no string names no task
			m.TaskID = string(id)
		}
	case "notifications/cancelled":
		m.Cancels = f.requestID
	}
	return ""
}

// call fills in what a tools/call has beside what every request has.
func (f *fields) call(m *Message) (reason string) {
	// An upstream might run a call that came as a notification, but no answer
	// would end it; and what a name that is no string means, each decoder
	// settles for itself.
	if m.Kind != Request {
		return "a tools/call without an id"
	}
	if f.name == nil {
		return `a tools/call without "name" in its params`
	}
	tool, ok := DecodeString(f.name)
	if !ok {
		return `the "name" of a tools/call is not a string of whole characters`
	}
	m.Tool = alone(tool)[0]
	m.arguments, m.state = f.arguments, f.state
	m.Retry = f.state != nil || f.inputs != nil
	return ""
}

// response fills in a response. A null beside the result or the error is what
// encoders that know no absence write.
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
		if !isError { // an error may answer what had no readable id
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

const badID = `"id" is neither a string of whole characters nor an integer from -2^63 to below 2^63`
