package gate

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/toolfilter"
)

// filterTools returns a writer in front of the metering writer that takes out of
// the response what the key may not call, or the metering writer itself where the
// response lists no tools.
func (x *exchange) filterTools(r *http.Request) http.ResponseWriter {
	if !x.mayListTools() {
		return &x.response
	}
	r.Header.Del("Range") // a part of a list cannot be read
	return &toolListWriter{ResponseWriter: &x.response, x: x, log: x.gate.log}
}

// mayListTools reports whether the response may list tools: to any request for
// more than calls, and on a stream that is opened or resumed.
func (x *exchange) mayListTools() bool {
	return x.method == http.MethodGet || slices.ContainsFunc(x.body.Messages, func(m mcp.Message) bool {
		return m.Kind == mcp.Request && !m.IsCall()
	})
}

// toolListWriter takes out of a response the tools that the key may not call, and
// the resources and prompts that it may not use.
type toolListWriter struct {
	http.ResponseWriter // the meteringWriter
	x                   *exchange
	log                 *slog.Logger

	filter  toolfilter.Filter
	begun   bool
	refused bool
	stream  bool
	out     []byte // memory for what the filter lets through
}

var errEncodedStream = errors.New("the upstream encodes its event stream, in which tools may be listed that a key may not call")

// WriteHeader gets ready to filter what follows.
func (s *toolListWriter) WriteHeader(status int) {
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
	s.filter.Reset(s.stream, s.x.shownLists()...)
	for _, name := range []string{"Content-Length", "Content-Digest", "Repr-Digest", "ETag"} {
		h.Del(name) // it would not fit the filtered body
	}
	s.ResponseWriter.WriteHeader(status)
}

// encoded reports whether a body is encoded, although it was asked not to be.
func encoded(h http.Header) bool {
	return slices.ContainsFunc(h["Content-Encoding"], func(coding string) bool {
		return coding != "" && !strings.EqualFold(coding, "identity")
	})
}

// refuse answers in the place of an upstream whose response cannot be filtered.
func (s *toolListWriter) refuse() {
	s.refused = true
	ref := &refusal{
		status: http.StatusBadGateway, reason: reasonEncodedList, code: codeEncodedList,
		message: "The server encodes its answer, and this key may not see all that may be in it",
	}
	ref.answerEach(&s.x.body)
	s.x.refuse(ref)
	s.log.Error("the upstream encodes a response although it was asked not to: it is not passed on under a key with scopes",
		"content_encoding", s.Header()["Content-Encoding"])
	for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Digest", "Repr-Digest", "ETag", "Trailer"} {
		s.Header().Del(name)
	}
	if s.stream {
		s.Header().Set("Connection", "close") // it is broken off: see Write
	}
	// An error means that the client is gone, and has no use for it.
	if ref.writeTo(s.ResponseWriter) == nil {
		_ = s.FlushError()
	}
}

// Write passes on what the key may see.
func (s *toolListWriter) Write(p []byte) (int, error) {
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
		s.log.Error("a response is broken off, since it cannot be filtered for a key with scopes", "error", cause)
		return 0, cause
	}
	return len(p), nil
}

// FlushError flushes; a flush before the header sends the header.
func (s *toolListWriter) FlushError() error {
	if !s.begun {
		s.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (s *toolListWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Interface guards
var (
	_ http.ResponseWriter                       = (*toolListWriter)(nil)
	_ interface{ FlushError() error }           = (*toolListWriter)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*toolListWriter)(nil)
)
