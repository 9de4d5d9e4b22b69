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

	// tooLate is how long a flush is put off at most.
	tooLate = time.Millisecond

	// largePiece, in bytes, is more than what an HTTP server gathers before it
	// writes.
	largePiece = 16 << 10
)

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
		if m.late == nil {
			m.late = newLateFlush(m.ResponseWriter)
		}
		m.late.putOff()
		return nil
	}
	m.late.settle()
	return http.NewResponseController(m.ResponseWriter).Flush()
}

// endFlushes is called when the response has ended.
func (m *meter) endFlushes() {
	if !m.answered.IsZero() && m.returned {
		if prompt := time.Since(m.answered) <= promptly; prompt != m.gate.endsPromptly.Load() {
			m.gate.endsPromptly.Store(prompt)
		}
	}
	m.late.end(!m.returned)
}

// lateFlush is a flush of a response that is put off, in the hope that more
// comes at once and leaves in the same write. Of nil, nothing is put off.
type lateFlush struct {
	mu      sync.Mutex // held while the timer flushes
	w       http.ResponseWriter
	pending bool
	timer   *time.Timer
}

var lateFlushes = sync.Pool{New: func() any {
	l := new(lateFlush)
	l.timer = time.AfterFunc(time.Hour, l.late)
	l.timer.Stop()
	return l
}}

func newLateFlush(w http.ResponseWriter) *lateFlush {
	l := lateFlushes.Get().(*lateFlush)
	l.mu.Lock() // the timer of the response before may have gone off just now
	defer l.mu.Unlock()
	l.w = w
	return l
}

// putOff has w flushed later, unless settle or end is called before.
func (l *lateFlush) putOff() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = true
	l.timer.Reset(tooLate)
}

// late flushes what has been put off for long enough.
func (l *lateFlush) late() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending {
		l.pending = false
		_ = http.NewResponseController(l.w).Flush() // who writes next is told
	}
}

// settle is called before anybody else uses w.
func (l *lateFlush) settle() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = false
}

// end is called when the response has ended; where that is by a panic, nobody
// else would flush what has been put off. l is not used any more.
func (l *lateFlush) end(panics bool) {
	if l == nil {
		return
	}
	l.timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending && panics {
		_ = http.NewResponseController(l.w).Flush()
	}
	l.pending, l.w = false, nil
	lateFlushes.Put(l)
}
