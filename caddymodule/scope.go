package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/toolfilter"
)

// outOfScope is the tool that the request would call and the key may not; of a
// question about a task, the tool that the task runs. A task that the gate does
// not know, or no longer, it leaves to the upstream.
func (m *meter) outOfScope(body *mcp.Body) (tool string, found bool) {
	for i := range body.Messages {
		msg := &body.Messages[i]
		switch {
		case msg.IsCall():
			tool = msg.Tool
		case msg.TaskID != "":
			w, ok := m.backend.pipeline.open.find(taskKey(m.principal.UserID, msg.TaskID))
			if !ok {
				continue
			}
			tool = w.call.event.Tool
		default:
			continue
		}
		if !m.principal.Scope.Match(tool) {
			return tool, true
		}
	}
	return "", false
}

// scoped is what the upstream's answer is written to: the meter, behind a
// scopedWriter where the answer may list tools that the key may not call.
func (m *meter) scoped(r *http.Request, body *mcp.Body) http.ResponseWriter {
	if m.principal == nil || m.principal.Scope == nil || !mayList(r.Method, body) {
		return m
	}
	r.Header.Del("Range") // a part of a list cannot be read
	return &scopedWriter{ResponseWriter: m, allowed: m.principal.Scope.Match, body: body}
}

// mayList tells whether tools may be listed in the answer to a request: to any
// that asks for more than calls, and on a stream that is opened or resumed.
func mayList(method string, body *mcp.Body) bool {
	return method == http.MethodGet || slices.ContainsFunc(body.Messages, func(m mcp.Message) bool {
		return m.Kind == mcp.Request && !m.IsCall()
	})
}

// scopedWriter takes tools out of the lists in a response.
type scopedWriter struct {
	http.ResponseWriter // the meter
	allowed             func(tool string) bool
	body                *mcp.Body // of the request

	filter  toolfilter.Filter
	begun   bool
	refused bool
	stream  bool
	out     []byte
}

var errEncodedStream = errors.New("the upstream encodes its event stream, in which tools may be listed that a key may not call")

// WriteHeader gets ready to filter what follows.
func (s *scopedWriter) WriteHeader(status int) {
	if s.begun || status < 200 {
		s.ResponseWriter.WriteHeader(status)
		return
	}
	s.begun = true
	h := s.Header()
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	s.stream = strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
	if encoded(h) {
		s.refuse()
		return
	}
	s.filter.Reset(s.stream, s.allowed)
	for _, ofBody := range []string{"Content-Length", "Content-Digest", "Repr-Digest", "ETag"} {
		h.Del(ofBody) // what is taken out changes it
	}
	s.ResponseWriter.WriteHeader(status)
}

// encoded tells whether a body is, although it was asked for as it is.
func encoded(h http.Header) bool {
	return slices.ContainsFunc(h["Content-Encoding"], func(coding string) bool {
		return coding != "" && !strings.EqualFold(coding, "identity")
	})
}

// refuse answers in the place of an upstream whose answer cannot be filtered.
func (s *scopedWriter) refuse() {
	s.refused = true
	ref := refusal{
		status: http.StatusBadGateway, code: codeEncodedList, batch: requestIDs(s.body),
		message: "The server encodes its answer, and this key may not see all that may be in it",
	}
	if len(s.body.Messages) == 1 {
		ref.id = s.body.Messages[0].ID
	}
	caddy.Log().Named("http.handlers.tallygate").Error("the upstream encodes an answer although it was asked not to: it is not passed on under a key with scopes",
		zap.Strings("content_encoding", s.Header()["Content-Encoding"]))
	for _, ofBody := range []string{"Content-Encoding", "Content-Length", "Content-Digest", "Repr-Digest", "ETag", "Trailer"} {
		s.Header().Del(ofBody)
	}
	if s.stream {
		s.Header().Set("Connection", "close") // it is broken off: see Write
	}
	// A client that is gone has no use for it.
	if refuse(s.ResponseWriter, ref) == nil {
		_ = s.FlushError()
	}
}

// Write passes on what the key may see.
func (s *scopedWriter) Write(p []byte) (int, error) {
	if !s.begun {
		s.WriteHeader(http.StatusOK)
	}
	if s.refused {
		if s.stream {
			return 0, errEncodedStream // it may have no end
		}
		return len(p), nil
	}
	var cause error
	s.out, cause = s.filter.Append(s.out[:0], p)
	if len(s.out) > 0 {
		if _, err := s.ResponseWriter.Write(s.out); err != nil {
			return 0, err
		}
	}
	if cause != nil {
		caddy.Log().Named("http.handlers.tallygate").Error("an answer is broken off, as it cannot be filtered for a key with scopes", zap.Error(cause))
		return 0, cause
	}
	return len(p), nil
}

// FlushError flushes; a flush before the header sends the header.
func (s *scopedWriter) FlushError() error {
	if !s.begun {
		s.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (s *scopedWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Interface guards
var (
	_ http.ResponseWriter                       = (*scopedWriter)(nil)
	_ interface{ FlushError() error }           = (*scopedWriter)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*scopedWriter)(nil)
)
