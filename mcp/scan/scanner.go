package scan

import "github.com/tallygate/tallygate/internal/sse"

// Format is how a response's body carries messages.
type Format uint8

// The formats.
const (
	JSON Format = iota // one message, or an array of them (revision 2025-03-26)
	SSE                // an event stream whose events are each what a JSON body is
)

// Scope says which messages a Scanner looks for.
type Scope uint8

// The scopes.
const (
	Calls Scope = iota // replies to requests: the usual
	Tasks              // also what carries a task's state: replies to tasks/get, and notifications about tasks
)

// Scanner looks through a response's body for replies while it passes. It is
// told the bytes as they come, in pieces of any size, and gathers none of them.
// It remembers a few kilobytes and the table names that it found, whose number
// and length have caps: at most 256 KB for a rule, whatever comes.
//
// It finds out no more than it is asked for. What no path leads to is skipped
// by its quotes and brackets alone, so that what stands there may be JSON or
// not as long as its strings end and its brackets balance ({] counts as a
// pair). Where the rest turns out to be no JSON, it makes up nothing: a JSON
// body is not looked at any further, an event stream from the next event on
// again.
//
// A Scanner is ready after Reset, and can be reset and used again for another
// body. It is for one goroutine.
type Scanner struct {
	plan    *plan // for the messages to come
	scope   Scope
	format  Format
	state   scanState
	batch   bool // inside an array of messages
	bom     int  // bytes of a byte-order mark that have come; len(byteOrderMark) behind it
	doc     document
	matches matches
	size    int64 // of the message that passes
	whole   bool  // the last piece has the end of an event in it, or of a reply in JSON
	stream  sse.Reader
	event   eventState
}

type scanState uint8

const (
	scanFirst       scanState = iota // a message or an array of them is to come
	scanFirstOfMany                  // behind [
	scanMessage                      // in a message
	scanNext                         // behind a message in an array
	scanNextOfMany                   // behind the comma
	scanDone                         // behind all; nothing is looked at any more
)

const byteOrderMark = "\xef\xbb\xbf"

// Reset makes the scanner ready for the first byte of a body. For the replies
// in it, Reply.Facts will know what the extractors in want find; nil ones are
// left out. With one extractor at most, it allocates nothing.
func (s *Scanner) Reset(format Format, scope Scope, want ...*Extractor) {
	s.format, s.scope, s.state, s.batch, s.bom = format, scope, scanFirst, false, 0
	s.stream, s.event = sse.Reader{}, eventState{}
	s.matches.habit = Habit{}
	s.Want(want...)
}

// Expect says which tool's result is to come, where it is one.
func (s *Scanner) Expect(h Habit) { s.matches.habit = h }

// Want changes what is looked for, from the next message on. It is for streams
// that answer calls which were not known at Reset.
func (s *Scanner) Want(want ...*Extractor) {
	s.plan = replyPlan(s.scope, want)
}

// Resumable reports whether an event with an id has passed, so that a client can
// ask for the events behind it should the stream break.
func (s *Scanner) Resumable() bool { return s.event.resumable }

// Completes reports whether the piece that was scanned last has the end of an event
// in it, or of a reply in JSON. Whoever gets one that has not can do nothing with
// it yet, unless the body ends there.
func (s *Scanner) Completes() bool { return s.whole }

// Scan takes in the next bytes of the body. It calls found for each reply,
// during the Scan of the piece that holds the reply's closing brace; what found
// is given is good until found returns.
//
// In an event stream that is before the end of the event. An event whose type
// is not message carries no replies, but an event: line that comes behind the
// data is too late to say so.
func (s *Scanner) Scan(p []byte, found func(*Reply)) {
	s.whole = false
	if s.format == SSE {
		s.events(p, found)
		return
	}
	// Clients differ in whether they take a byte-order mark in front of JSON;
	// where one does, the reply has been answered.
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

// messages takes in a piece of a JSON body, or of the data of an event.
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
		default: // also the end of the array
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
		s.whole = s.whole || s.format == JSON
		found(r)
	}
}
