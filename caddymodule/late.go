package caddymodule

import (
	"net/http"
	"sync"
	"time"
)

const (
	// promptly is how soon behind its last answer a response ends that ends at
	// once.
	promptly = 50 * time.Microsecond

	// tooLate is how long anything is put off at most.
	tooLate = time.Millisecond

	// smallPiece, in bytes, is the most that is held of a response. What an
	// upstream sends in one go, Caddy reads with its header, which leaves less
	// than 4 KiB for the first piece, and the rest in pieces of up to 32 KiB.
	smallPiece = 4 << 10
	usualPiece = 32 << 10

	// largePiece, in bytes, is more than what an HTTP server gathers before it
	// writes.
	largePiece = 16 << 10
)

// pass writes a piece of the response.
//
// A small first piece that is part of an event, or of JSON, nobody can use
// alone; so it waits for the next, with which net/http has one write less to do.
func (m *meter) pass(p []byte) (int, error) {
	first := m.written == 0
	m.written += int64(len(p))
	if first && m.part > 0 && m.part <= smallPiece {
		m.putOff().hold(p)
		return len(p), nil
	}
	return m.late.write(m.ResponseWriter, p)
}

// FlushError flushes; a flush before the header sends the header.
//
// Behind a part of an event, or of JSON, it waits for more, since nobody can use
// that alone; that saves a third of the writes of a long event. A large part
// net/http has written, but for the line break that ends a chunk. Behind the last
// answer it waits for the end of the response, if that came at once last time.
func (m *meter) FlushError() error {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	if m.part >= largePiece {
		return nil
	}
	wait := m.part > 0
	if !wait && m.answered.IsZero() && m.scanner != nil && !m.awaits() {
		m.answered = time.Now()
		wait = m.gate.endsPromptly.Load()
	}
	if wait {
		m.putOff().flush()
		return nil
	}
	m.late.settle()
	return http.NewResponseController(m.ResponseWriter).Flush()
}

// putOff is where what waits for more is put off.
func (m *meter) putOff() *late {
	if m.late == nil {
		m.late = newLate(m.ResponseWriter)
	}
	return m.late
}

// endLate is called when the response has ended.
func (m *meter) endLate() {
	if !m.answered.IsZero() && m.returned {
		if prompt := time.Since(m.answered) <= promptly; prompt != m.gate.endsPromptly.Load() {
			m.gate.endsPromptly.Store(prompt)
		}
	}
	m.late.end(!m.returned)
}

// late is what of a response is put off, in the hope that more comes at once and
// leaves in the same write: its first piece, and a flush behind what has been
// written. Of nil, nothing is.
type late struct {
	mu      sync.Mutex // held while the timer writes or flushes
	w       http.ResponseWriter
	piece   []byte // empty: none
	flushes bool
	timer   *time.Timer
}

var lates = sync.Pool{New: func() any {
	l := new(late)
	l.timer = time.AfterFunc(time.Hour, l.expire)
	l.timer.Stop()
	return l
}}

func newLate(w http.ResponseWriter) *late {
	l := lates.Get().(*late)
	l.mu.Lock() // the timer of the response before may have gone off just now
	defer l.mu.Unlock()
	l.w = w
	return l
}

// hold has the first piece written later, unless write or end do so before.
func (l *late) hold(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.piece == nil {
		l.piece = make([]byte, 0, smallPiece+usualPiece)
	}
	l.piece = append(l.piece, p...)
	l.timer.Reset(tooLate)
}

// flush has w flushed later, unless write, settle or end is called before.
func (l *late) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes = true
	l.timer.Reset(tooLate)
}

// expire does what has been put off for long enough.
func (l *late) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.release() // who writes next is told
	if l.flushes {
		l.flushes = false
		_ = http.NewResponseController(l.w).Flush()
	}
}

// release writes what is held.
func (l *late) release() (err error) {
	if len(l.piece) > 0 {
		_, err = l.w.Write(l.piece)
		l.piece = l.piece[:0]
	}
	return err
}

// write writes to w, together with what is held.
func (l *late) write(w http.ResponseWriter, p []byte) (int, error) {
	if l == nil {
		return w.Write(p)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes = false
	if held := len(l.piece); held > 0 && len(p) <= cap(l.piece)-held {
		n, err := w.Write(append(l.piece, p...))
		l.piece = l.piece[:0]
		return max(0, n-held), err
	}
	if err := l.release(); err != nil {
		return 0, err
	}
	return w.Write(p)
}

// settle is called before anybody else flushes w. Nothing is held then: behind
// what is held, a flush is put off.
func (l *late) settle() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes = false
}

// end is called when the response has ended; where that is by a panic, nobody
// else would flush what has been put off. l is not used any more.
func (l *late) end(panics bool) {
	if l == nil {
		return
	}
	l.timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.release() // whoever could be told has gone
	if l.flushes && panics {
		_ = http.NewResponseController(l.w).Flush()
	}
	l.flushes, l.w = false, nil
	lates.Put(l)
}
