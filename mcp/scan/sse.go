package scan

import (
	"bytes"

	"github.com/tallygate/tallygate/internal/sse"
)

// eventState is what is known of the current event of an event stream.
type eventState struct {
	hasData bool                     // it has a data line
	ignored bool                     // its type is not message
	kind    [len("message") + 1]byte // the value of the current event line, truncated
	length  int                      // of kind

	idEmpty   bool // the current id line has no value so far
	idNUL     bool // the current id line has a NUL, so it is ignored
	hasID     bool // the last id line that was not ignored had a value
	resumable bool // an event with an id has passed
}

// lineFeed separates the lines of an event's data.
var lineFeed = []byte{'\n'}

// events reads a chunk of an event stream. Of the fields only data, event and id
// matter here.
func (s *Scanner) events(p []byte, found func(*Reply)) {
	e := &s.event
	for len(p) > 0 {
		part, n := s.stream.Next(p)
		switch part {
		case sse.ValueStart:
			s.beginValue()
		case sse.Value:
			switch s.stream.Field() {
			case sse.Data:
				if !e.ignored {
					s.messages(p[:n], found)
				}
			case sse.Event:
				e.length += copy(e.kind[e.length:], p[:n])
			case sse.ID:
				e.idEmpty = false
				e.idNUL = e.idNUL || bytes.IndexByte(p[:n], 0) >= 0
			}
		case sse.LineEnd:
			switch s.stream.Field() {
			case sse.Event:
				kind := string(e.kind[:e.length])
				e.ignored = kind != "" && kind != "message"
			case sse.ID:
				if !e.idNUL {
					e.hasID = !e.idEmpty
				}
			}
		case sse.EventEnd:
			s.state, s.batch = scanFirst, false
			e.hasData, e.ignored = false, false
			e.resumable = e.resumable || e.hasID
			s.completes = true
		}
		p = p[n:]
	}
}

// beginValue is called after the name of a field.
func (s *Scanner) beginValue() {
	e := &s.event
	switch s.stream.Field() {
	case sse.Data:
		if e.hasData && !e.ignored {
			s.messages(lineFeed, nil) // a line feed cannot complete a reply
		}
		e.hasData = true
	case sse.Event:
		e.length = 0
	case sse.ID:
		e.idEmpty, e.idNUL = true, false
	}
}
