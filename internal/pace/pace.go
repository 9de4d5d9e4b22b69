// Package pace has work in the background leave the processor to calls.
package pace

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// slice is how long work goes on before it rests. Calls wait no longer.
	slice = 200 * time.Microsecond

	// share is how many times as long as it has gone on it rests.
	share = 3

	// longest is the longest rest. Work that seems to take longer has itself
	// stood still.
	longest = 5 * time.Millisecond

	// enough is from how many processors on calls do not wait for one.
	enough = 3
)

var calls atomic.Int64

// CallBegins notes that a call is under way; CallEnds undoes it.
func CallBegins() { calls.Add(1) }

// CallEnds undoes CallBegins.
func CallEnds() { calls.Add(-1) }

// Worker is a piece of work in the background. The zero value begins it.
//
// runtime.Gosched would not do. Where nothing else is ready to run, the
// scheduler goes on with what yielded before it asks the network who has become
// ready; so on one processor calls would wait until the runtime's monitor asks,
// which it does every 10 ms. While work sleeps, the network is asked.
type Worker struct{ begun time.Time }

// Rest sleeps now and then, where it is called often in the midst of the work,
// while calls are under way and processors are few.
func (w *Worker) Rest() {
	if calls.Load() == 0 || runtime.GOMAXPROCS(0) >= enough {
		w.begun = time.Time{}
		return
	}
	now := time.Now()
	if w.begun.IsZero() {
		w.begun = now
	}
	if worked := now.Sub(w.begun); worked >= slice {
		time.Sleep(min(share*worked, longest))
		w.begun = time.Now()
	}
}
