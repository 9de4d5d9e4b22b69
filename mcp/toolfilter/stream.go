package toolfilter

import (
	"errors"

	"github.com/tallygate/tallygate/internal/sse"
)

// ErrLegacyTransport is the error of an event stream that begins MCP's HTTP+SSE
// transport (2024-11-05). Its endpoint event tells the client an address for its
// messages, whose answers come on the stream.
var ErrLegacyTransport = errors.New("the event stream is one of the HTTP+SSE transport of 2024-11-05, not of streamable HTTP")

const endpointEvent = "endpoint"

// readStream takes the next bytes of an event stream. The data of every event
// is filtered, whatever its type, since clients differ in which types they read.
// All other lines are passed on as they come.
func (f *Filter) readStream(p []byte) {
	for len(p) > 0 && f.err == nil {
		if len(f.held) > maxElement {
			f.tooLong()
			continue
		}
		part, n := f.stream.Next(p)
		isData := f.stream.Field() == sse.Data
		switch {
		case part == sse.Value && f.stream.Field() == sse.Event:
			f.event = append(f.event, p[:min(n, len(endpointEvent)+1-len(f.event))]...)
			f.emitFrame(p[:n])
		case part == sse.ValueStart && isData && string(f.event) == endpointEvent:
			f.err = ErrLegacyTransport
		case part == sse.Value && isData:
			f.readJSON(p[:n])
		case part == sse.ValueStart && isData:
			if f.hasData && f.state == inScalar {
				f.endValue() // the line feed between two lines of data ends it
			}
			f.hasData = true
			f.emitFrame(p[:n])
		case part == sse.EventEnd:
			if f.dropping { // with the end of the line before
				f.dropping = false
				f.emit(p[:n])
			}
			f.emitFrame(p[:n])
			f.endEvent()
		default:
			f.emitFrame(p[:n])
		}
		p = p[n:]
	}
}

// emitFrame passes on bytes that are not data, or holds them until the data
// before them is passed on.
func (f *Filter) emitFrame(p []byte) {
	at := len(f.held)
	f.emit(p)
	switch last := len(f.framing) - 1; {
	case !f.holding || f.dropping || len(p) == 0:
	case last >= 0 && f.framing[last][1] == at:
		f.framing[last][1] = len(f.held)
	default:
		f.framing = append(f.framing, [2]int{at, len(f.held)})
	}
}

// emitFraming passes on the framing among the held bytes when the data is
// dropped: without it, the lines around would run into each other.
func (f *Filter) emitFraming() {
	for _, frame := range f.framing {
		f.out = append(f.out, f.held[frame[0]:frame[1]]...)
	}
}

// endEvent gets ready for the next event. If bytes are held, the event ended
// within an element, whose data is dropped, or within a message, which no client
// can read.
func (f *Filter) endEvent() {
	switch {
	case f.message.held:
		f.release()
	case f.holding:
		f.emitFraming()
		f.dropHeld()
		f.holding = false
	}
	f.hasData, f.event = false, f.event[:0]
	f.state, f.position, f.open = beforeValue, atTop, f.open[:0]
}
