package gate

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/toolfilter"
)

// filteringWriter is in front of the metering writer, and takes out of the
// response what its client may not see: tools, resources and prompts outside its
// key's scopes, and tasks that are not its user's. Any event stream may have
// notifications about tasks, since some servers send them to all clients.
type filteringWriter struct {
	*meteringWriter
	lists   bool // the response may have lists that a key with scopes sees in part, or of tasks
	begun   bool
	refused bool // nothing of the response is passed on
	stream  bool
	filter  *bodyFilter // nil where the response needs none
}

// bodyFilter is a filter and memory for what it lets through.
type bodyFilter struct {
	toolfilter.Filter
	out []byte
}

var filters = sync.Pool{New: func() any { return new(bodyFilter) }}

// beginFilter returns the writer for the response, which is to be closed.
func (x *exchange) beginFilter(r *http.Request) *filteringWriter {
	s := &x.filter
	s.meteringWriter = &x.response
	s.lists = x.hasScopedLists() || slices.ContainsFunc(x.body.Messages, func(m mcp.Message) bool { return m.Method == "tasks/list" })
	if s.lists {
		r.Header.Del("Range") // a part of a list cannot be read
	}
	return s
}

// hasScopedLists reports whether the response may list something outside the key's
// scopes.
func (x *exchange) hasScopedLists() bool {
	return x.principal != nil && x.principal.Scope != nil && x.mayList()
}

// mayList reports whether the response may have lists: to any request for
// more than calls, and on a stream that is opened or resumed.
func (x *exchange) mayList() bool {
	return x.method == http.MethodGet || slices.ContainsFunc(x.body.Messages, func(m mcp.Message) bool {
		return m.Kind == mcp.Request && !m.IsCall()
	})
}

var errEncodedStream = errors.New("the upstream encodes its event stream, in which something may be listed that a key may not see")

// WriteHeader gets ready to filter what follows.
func (s *filteringWriter) WriteHeader(status int) {
	if s.begun || status < 200 {
		s.meteringWriter.WriteHeader(status)
		return
	}
	s.begun = true
	h := s.Header()
	if s.refused = isRedirect(status, h); s.refused {
		s.meteringWriter.WriteHeader(status)
		return
	}
	s.stream = isMedia(h, "text/event-stream")
	switch {
	case !s.stream && !s.lists:
	case !encoded(h):
		s.filterBody(h)
	case s.lists:
		s.refuse()
		return
	}
	s.meteringWriter.WriteHeader(status)
}

// filterBody begins to filter the body.
func (s *filteringWriter) filterBody(h http.Header) {
	x := s.x
	var lists []toolfilter.List
	if x.mayList() {
		lists = append(lists, toolfilter.List{Name: "tasks", ID: "taskId", Allowed: x.mayKnowTask})
	}
	if x.hasScopedLists() {
		lists = append(lists, x.shownLists()...)
	}
	s.filter = filters.Get().(*bodyFilter)
	s.filter.Reset(s.stream, lists...)
	s.filter.OnlyTasks(x.mayKnowTask)
	if !x.hasScopedLists() {
		s.filter.PassUnreadable()
	}
	for _, name := range []string{"Content-Length", "Content-Digest", "Repr-Digest", "ETag"} {
		h.Del(name) // it would not fit the filtered body
	}
}

// encoded reports whether a body is encoded, although it was asked not to be.
func encoded(h http.Header) bool {
	return slices.ContainsFunc(h["Content-Encoding"], func(coding string) bool {
		return coding != "" && !strings.EqualFold(coding, "identity")
	})
}

// refuse answers in the place of an upstream whose response cannot be filtered.
func (s *filteringWriter) refuse() {
	s.refused = true
	ref := &refusal{
		status: http.StatusBadGateway, reason: reasonEncodedList, code: codeEncodedList,
		message: "The server encodes its answer, and this key may not see all that may be in it",
	}
	ref.answerEach(&s.x.body)
	s.x.refuse(ref)
	h := s.Header()
	s.x.gate.log.Error("the upstream encodes a list although it was asked not to: it is not passed on, since not all in it is for the key",
		"content_encoding", h["Content-Encoding"])
	for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Digest", "Repr-Digest", "ETag", "Trailer"} {
		h.Del(name)
	}
	if s.stream {
		h.Set("Connection", "close") // it is broken off: see Write
	}
	// An error means that the client is gone, and has no use for it.
	if ref.writeTo(s.meteringWriter) == nil {
		_ = s.meteringWriter.FlushError()
	}
}

// Write passes on what the client may see.
func (s *filteringWriter) Write(p []byte) (int, error) {
	if !s.begun {
		s.WriteHeader(http.StatusOK)
	}
	switch {
	case s.refused && s.stream:
		return 0, errEncodedStream // it may have no end
	case s.refused:
		return len(p), nil
	case s.filter == nil:
		return s.meteringWriter.Write(p)
	}
	f := s.filter
	var cause error
	f.out, cause = f.Append(f.out[:0], p)
	if len(f.out) > 0 {
		if _, err := s.meteringWriter.Write(f.out); err != nil {
			return 0, err
		}
	}
	switch {
	case errors.Is(cause, toolfilter.ErrLegacyTransport):
		s.x.refuse(legacyTransport(cause))
		return 0, cause
	case cause != nil:
		s.x.gate.log.Error("a response is broken off, since it cannot be filtered for its key", "error", cause)
		return 0, cause
	}
	return len(p), nil
}

// legacyTransport refuses an upstream that speaks the HTTP+SSE transport, in which
// the answer to a call does not come with its request. The client has been sent the
// begin of a stream, and sees it break off.
func legacyTransport(cause error) *refusal {
	return &refusal{status: http.StatusBadGateway, reason: reasonTransport, code: codeTransport, cause: cause,
		message: "The server speaks the older HTTP+SSE transport, which is not served: run it with streamable HTTP"}
}

// FlushError flushes; a flush before the header sends the header.
func (s *filteringWriter) FlushError() error {
	if !s.begun {
		s.WriteHeader(http.StatusOK)
	}
	return s.meteringWriter.FlushError()
}

// close passes on what is left of a body that ended early.
func (s *filteringWriter) close() {
	if s.filter == nil {
		return
	}
	if rest := s.filter.Rest(nil); len(rest) > 0 {
		_, _ = s.meteringWriter.Write(rest) // an error means that the client is gone
	}
	s.filter.Reset(false) // which keeps no reference to the exchange
	filters.Put(s.filter)
	s.filter = nil
}

// Interface guards
var (
	_ http.ResponseWriter                       = (*filteringWriter)(nil)
	_ interface{ FlushError() error }           = (*filteringWriter)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*filteringWriter)(nil)
)
