package gate_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
)

// TestLegacyTransport: the stream of a server that speaks HTTP+SSE is broken off
// before the client learns where to send its messages, and the operator is told.
func TestLegacyTransport(t *testing.T) {
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		gatetest.WriteEvent(w, "event: endpoint\ndata: /message?sessionId=7\n\n")
		<-r.Context().Done()
	}))
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key(t))
	res, err := http.DefaultClient.Do(req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil || strings.Contains(string(body), "/message") {
		t.Errorf("the stream is %q, %v", body, err)
	}
	if log := s.log.String(); !strings.Contains(log, "run it with streamable HTTP") {
		t.Errorf("the log is %q", log)
	}
}
