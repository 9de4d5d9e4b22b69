package scan

import "github.com/tallygate/tallygate/internal/sse"

// Format is how a response's body carries messages.
type Format uint8

// The formats.
const (
	JSON Format = iota // one message, or an array of them (revision 2025-03-26)
	SSE                // an event stream whose events are each what a JSON body is
)

// Scope is which messages a Scanner looks for.
type Scope uint8

// The scopes.
const (
	Calls Scope = iota // replies to requests
	Tasks              // also replies to tasks/get and notifications about tasks, which carry a task's state
)

// Scanner finds the replies in a response body while it passes. It takes the
// body in chunks of any size and buffers none of them. It keeps a few kilobytes
// of state and the table names found so far. Both are bounded: at most 256 KB
// for a rule, whatever the body is.
//
// A Scanner reads no more than it has to. A value that no path leads to is
// skipped by its quotes and brackets alone. There, malformed JSON goes unnoticed
// as long as its strings end and its brackets balance ({] counts as a pair).
// Where malformed JSON is noticed, the scanner reports nothing for that message:
// of a JSON body it ignores the rest, and in an event stream it goes on with the
// next event.
//
// Call Reset before the first chunk of each body. A Scanner can be reused, but
// not by several goroutines at once.
type Scanner struct {
	plan      *plan // for the next messages
	scope     Scope
	format    Format
	state     scanState
	batch     bool // inside an array of messages
	bom       int  // bytes of a byte-order mark read so far; len(byteOrderMark) once that is decided
	doc       document
	matches   matches
	size      int64 // bytes of the current message so far
	completes bool  // see Completes
	stream    sse.Reader
	event     eventState
}

type scanState uint8

const (
	scanFirst       scanState = iota // before a message or an array of messages
	scanFirstOfMany                  // after [
	scanMessage                      // inside a message
	scanNext                         // after a message in an array
	scanNextOfMany                   // after the comma
	scanDone                         // the rest of the body, or of the event, is ignored
)

const byteOrderMark = "\xef\xbb\xbf"

// Reset prepares the scanner for the first byte of a body. Reply.Facts will
// return what the extractors in want find; nil extractors are ignored. With at
// most one extractor, Reset allocates nothing.
func (s *Scanner) Reset(format Format, scope Scope, want ...*Extractor) {
	s.format, s.scope, s.state, s.batch, s.bom = format, scope, scanFirst, false, 0
	s.stream, s.event = sse.Reader{}, eventState{}
	s.matches.habit = Habit{}
	s.Want(want...)
}

// Expect sets the habit of the tool whose result comes next. Without it, the
// scanner assumes nothing about the result.
func (s *Scanner) Expect(h Habit) { s.matches.habit = h }

// Want changes the extractors, from the next message on. It is for streams that
// answer calls which were not known at Reset.
func (s *Scanner) Want(want ...*Extractor) {
	s.plan = replyPlan(s.scope, want)
}

// Resumable reports whether an event with an id has passed. If the stream
// breaks, the client can ask for the events after it.
func (s *Scanner) Resumable() bool { return s.event.resumable }

// Completes reports whether the last chunk contained the end of an event, or of
// a reply in JSON. A client cannot act on a chunk without one, unless the body
// ends there.
func (s *Scanner) Completes() bool { return s.completes }

// Scan reads the next chunk of the body. It calls found for each reply, during
// the Scan of the chunk that has the closing brace of the reply. The Reply is
// valid until found returns.
//
// In an event stream, found is called before the event ends. An event whose type
// is not message carries no replies, but only an event line before the data can
// say so: one after it comes too late.
func (s *Scanner) Scan(p []byte, found func(*Reply)) {
	s.completes = false
	if s.format == SSE {
		s.events(p, found)
		return
	}
	// Some clients accept a byte-order mark before JSON. To them this is a
	// reply, so it is one here, too.
	for s.bom < len(byteOrderMark) && len(p) > 0 {
		if p[0] != byteOrderMark[s.bom] {
			begun := byteOrderMark[:s.bom]
			s.bom = len(byteOrderMark)
			s.messages([]byte(begun), found)
			break
		}
		s.bom++
		p = p[1:]
	}
	s.messages(p, found)
}

// messages reads a chunk of a JSON body, or of the data of an event.
func (s *Scanner) messages(p []byte, found func(*Reply)) {
	for len(p) > 0 && s.state != scanDone {
		if s.state == scanMessage {
			n := s.doc.feed(p)
			s.size += int64(n)
			p = p[n:]
			switch s.doc.state {
			case docDone:
				s.endMessage(found)
			case docBroken:
				s.state = scanDone
			}
			continue
		}
		c := p[0]
		p = p[1:]
		if isSpace(c) {
			continue
		}
		switch {
		case c == '{' && s.state != scanNext:
			s.beginMessage(c)
		case c == '[' && s.state == scanFirst:
			s.state, s.batch = scanFirstOfMany, true
		case c == ',' && s.state == scanNext:
			s.state = scanNextOfMany
		default: // the end of the array, or malformed
			s.state = scanDone
		}
	}
}

func (s *Scanner) beginMessage(brace byte) {
	s.state, s.size = scanMessage, 1
	s.matches.reset(s.plan)
	s.doc.begin(&s.matches, s.plan.root)
	s.doc.token(brace)
}

func (s *Scanner) endMessage(found func(*Reply)) {
	s.state = scanDone
	if s.batch {
		s.state = scanNext
	}
	if r := s.matches.message(); r != nil {
		r.Size = s.size
		s.completes = s.completes || s.format == JSON
		found(r)
	}
}
