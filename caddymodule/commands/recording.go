package commands

import (
	"bytes"
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
	messages, err := splitMessages(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, err
	}
	var calls []recordedCall
	var responses []json.RawMessage
	for i, m := range messages {
		if !isRequest(m) {
			responses = append(responses, m)
			continue
		}
		var body mcp.Body
		if err := body.Read(m, false); err != nil {
			return nil, fmt.Errorf("message %d would be refused by the gate: %w", i+1, err)
		}
		if request := body.Messages[0]; request.IsCall() {
			e := recordedCall{tool: request.Tool, request: &request}
			if tool != "" {
				e.tool = tool
			}
			calls = append(calls, e)
		}
	}
	if len(calls) == 0 {
		if tool == "" || len(responses) == 0 {
			return nil, errors.New("there is no tools/call in the input; for a response alone, name its tool by --tool")
		}
		calls = []recordedCall{{tool: tool, response: responses[len(responses)-1]}}
		return calls, nil
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

// splitMessages splits the input into messages.
func splitMessages(text []byte) (messages []json.RawMessage, err error) {
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		if len(text) == 0 {
			return messages, nil
		}
		if text[0] != '{' && text[0] != '[' {
			return splitEvents(messages, string(text))
		}
		d := json.NewDecoder(bytes.NewReader(text))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("the input is no JSON from its byte %d of the last %d on: %w", d.InputOffset(), len(text), err)
		}
		text = text[d.InputOffset():]
		more, err := flatten(value)
		if err != nil {
			return nil, err
		}
		messages = append(messages, more...)
	}
}

// flatten returns the messages in a value: an array of them, the two of an
// object with a request and a response, or itself.
func flatten(value json.RawMessage) (messages []json.RawMessage, err error) {
	if value[0] == '[' {
		var array []json.RawMessage
		if err := json.Unmarshal(value, &array); err != nil {
			return nil, err
		}
		for _, v := range array {
			more, err := flatten(v)
			if err != nil {
				return nil, err
			}
			messages = append(messages, more...)
		}
		return messages, nil
	}
	var pair struct{ Request, Response json.RawMessage }
	if json.Unmarshal(value, &pair) == nil && (pair.Request != nil || pair.Response != nil) {
		for _, v := range []json.RawMessage{pair.Request, pair.Response} {
			var text string
			switch {
			case v == nil:
			case json.Unmarshal(v, &text) == nil: // a body as it was sent
				more, err := splitMessages([]byte(text))
				if err != nil {
					return nil, err
				}
				messages = append(messages, more...)
			default:
				more, err := flatten(v)
				if err != nil {
					return nil, err
				}
				messages = append(messages, more...)
			}
		}
		return messages, nil
	}
	return []json.RawMessage{value}, nil
}

// splitEvents adds the messages in the data of events.
func splitEvents(messages []json.RawMessage, text string) ([]json.RawMessage, error) {
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
			more, err := flatten(bytes.TrimSpace([]byte(event)))
			if err != nil {
				return nil, err
			}
			messages = append(messages, more...)
		}
		data = nil
	}
	if !found {
		return nil, errors.New("the input is neither JSON nor an event stream with JSON in it")
	}
	return messages, nil
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
