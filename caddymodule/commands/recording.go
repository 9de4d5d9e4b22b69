package commands

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tallygate/tallygate/mcp"
)

// recordedCall is a call's request and the message that answers it, each as JSON.
// Either may be missing.
type recordedCall struct {
	tool     string
	request  *mcp.Message
	response json.RawMessage
}

// readRecording reads recorded calls: an object with a request and a response, or
// JSON-RPC messages one after another, in arrays, or as the events of an event
// stream; these may also follow each other. It returns the calls in their order.
// tool, if it is not empty, is the name of all tools; a response without its call
// needs it.
func readRecording(r io.Reader, tool string) ([]recordedCall, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var all messages
	if err := all.addText(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))); err != nil {
		return nil, err
	}
	var calls []recordedCall
	var responses []json.RawMessage
	for i, m := range all {
		if !isRequest(m) {
			responses = append(responses, m)
			continue
		}
		var body mcp.Body
		if err := body.Read(m, false); err != nil {
			return nil, fmt.Errorf("message %d would be refused by the gate: %w", i+1, err)
		}
		if request := body.Messages[0]; request.IsCall() {
			calls = append(calls, recordedCall{tool: cmp.Or(tool, request.Tool), request: &request})
		}
	}
	if len(calls) == 0 {
		if tool == "" || len(responses) == 0 {
			return nil, errors.New("there is no tools/call in the input; for a response alone, name its tool by --tool")
		}
		return []recordedCall{{tool: tool, response: responses[len(responses)-1]}}, nil
	}
	for i := range calls {
		for _, m := range responses {
			if calls[i].response == nil && answers(m, calls[i].request) {
				calls[i].response = m
			}
		}
	}
	return calls, nil
}

// messages are the messages of a recording, in their order.
type messages []json.RawMessage

// addText adds the messages in JSON values one after another, or in the events of an
// event stream.
func (m *messages) addText(text []byte) error {
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		if len(text) == 0 {
			return nil
		}
		if text[0] != '{' && text[0] != '[' {
			return m.addEvents(string(text))
		}
		d := json.NewDecoder(bytes.NewReader(text))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("the input is no JSON from its byte %d of the last %d on: %w", d.InputOffset(), len(text), err)
		}
		text = text[d.InputOffset():]
		if err := m.addValue(value); err != nil {
			return err
		}
	}
}

// addValue adds the messages in a value: an array of them, the two of an object with
// a request and a response, or itself.
func (m *messages) addValue(value json.RawMessage) error {
	var array []json.RawMessage
	if json.Unmarshal(value, &array) == nil && array != nil {
		for _, v := range array {
			if err := m.addValue(v); err != nil {
				return err
			}
		}
		return nil
	}
	var pair struct{ Request, Response json.RawMessage }
	if json.Unmarshal(value, &pair) != nil || pair.Request == nil && pair.Response == nil {
		*m = append(*m, value)
		return nil
	}
	for _, v := range []json.RawMessage{pair.Request, pair.Response} {
		var text string
		var err error
		switch {
		case v == nil:
		case json.Unmarshal(v, &text) == nil: // a body as it was sent
			err = m.addText([]byte(text))
		default:
			err = m.addValue(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addEvents adds the messages in the data of events.
func (m *messages) addEvents(text string) error {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var data []string
	found := false
	for _, line := range append(strings.Split(text, "\n"), "") {
		if field, value, _ := strings.Cut(line, ":"); field == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
		if line != "" || len(data) == 0 {
			continue
		}
		if event := strings.Join(data, "\n"); json.Valid([]byte(event)) {
			found = true
			if err := m.addValue(bytes.TrimSpace([]byte(event))); err != nil {
				return err
			}
		}
		data = nil
	}
	if !found {
		return errors.New("the input is neither JSON nor an event stream with JSON in it")
	}
	return nil
}

func isRequest(m json.RawMessage) bool {
	var head struct{ Method *string }
	return json.Unmarshal(m, &head) == nil && head.Method != nil
}

// answers reports whether the message has the request's id.
func answers(m json.RawMessage, request *mcp.Message) bool {
	var head struct{ ID json.RawMessage }
	return json.Unmarshal(m, &head) == nil && mcp.IDKey(bytes.TrimSpace(head.ID)) == mcp.IDKey(request.ID)
}
