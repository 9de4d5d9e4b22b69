package e2e

import (
	"encoding/json"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/mcptest"
)

// TestReaderAgreesWithGoSDK checks that whatever the strict reader accepts, the
// official Go SDK reads as the same method and tool. Package mcp compares it
// with the other decoders; this one is here so that the product's module does
// not depend on the SDK.
func TestReaderAgreesWithGoSDK(t *testing.T) {
	compared := 0
	check := func(data []byte) {
		var body mcp.Body
		if body.Read(data, true) != nil {
			return
		}
		for _, m := range body.Messages {
			method, tool, ok := readByGoSDK(m.Raw)
			if !ok {
				continue
			}
			compared++
			if method != m.Method {
				t.Errorf("%q: the SDK sees the method %q, not %q", m.Raw, method, m.Method)
			}
			if m.IsCall() && tool != m.Tool {
				t.Errorf("%q: the SDK sees the tool %q, not %q", m.Raw, tool, m.Tool)
			}
			if body.Batch {
				continue
			}
			// The bytes around the message must make no difference.
			if aroundMethod, aroundTool, _ := readByGoSDK(data); aroundMethod != method || aroundTool != tool {
				t.Errorf("%q: the SDK sees %q, %q in the message and %q, %q in the body", data, method, tool, aroundMethod, aroundTool)
			}
		}
	}
	for _, a := range mcptest.NewCorpus().Attacks {
		check(a.Body)
	}
	fromCorpus := compared
	for range 10_000 {
		check([]byte(mcptest.NearMessage()))
	}
	if fromCorpus < 100 || compared-fromCorpus < 1000 {
		t.Errorf("only %d messages of the corpus and %d random ones were compared", fromCorpus, compared-fromCorpus)
	}
}

// readByGoSDK decodes a message as the official Go SDK does: names are exact,
// the last of several wins, unknown members are ignored. It reports false where
// the SDK refuses the message.
func readByGoSDK(data []byte) (method, tool string, ok bool) {
	m, err := jsonrpc.DecodeMessage(data)
	r, isRequest := m.(*jsonrpc.Request)
	if err != nil || !isRequest {
		return "", "", err == nil
	}
	var params struct {
		Name any `json:"name"`
	}
	if len(r.Params) > 0 {
		err = json.Unmarshal(r.Params, &params)
	}
	tool, _ = params.Name.(string)
	return r.Method, tool, err == nil
}
