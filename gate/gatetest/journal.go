package gatetest

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
)

// Journal keeps events and suspended calls in memory. The zero value is ready.
type Journal struct {
	mu        sync.Mutex
	refuse    error // what Admit returns
	full      error // what Suspend returns
	events    []usage.Event
	suspended map[uuid.UUID]journal.PendingCall
	appended  chan struct{} // closed by the next event; nil while nobody waits
}

// Refuse lets no call begin from now on; nil lets them again.
func (j *Journal) Refuse(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refuse = err
}

// Admit returns the error of Refuse.
func (j *Journal) Admit() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.refuse
}

// Append records an event.
func (j *Journal) Append(e *usage.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, *e)
	if j.appended != nil {
		close(j.appended)
		j.appended = nil
	}
	return nil
}

// RefusePending lets no call be suspended from now on.
func (j *Journal) RefusePending(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.full = err
}

// Suspend suspends a call, or returns the error of RefusePending.
func (j *Journal) Suspend(h *journal.PendingCall) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full != nil {
		return j.full
	}
	if j.suspended == nil {
		j.suspended = map[uuid.UUID]journal.PendingCall{}
	}
	j.suspended[h.Event.ID] = *h
	return nil
}

// Finish records the event of a suspended call.
func (j *Journal) Finish(e *usage.Event) error {
	j.mu.Lock()
	delete(j.suspended, e.ID)
	j.mu.Unlock()
	return j.Append(e)
}

// Forget drops a suspended call.
func (j *Journal) Forget(id uuid.UUID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.suspended, id)
}

// Pending returns how many calls are suspended and have not ended.
func (j *Journal) Pending() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, h := range j.suspended {
		if !h.Ended {
			n++
		}
	}
	return n
}

// PendingCalls returns the suspended calls.
func (j *Journal) PendingCalls() (held []journal.PendingCall, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, h := range j.suspended {
		held = append(held, h)
	}
	return held, nil
}

// Len returns how many events are recorded.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.events)
}

// Await waits until n events are recorded, and returns them, the newest call
// first, as decoded JSON. It fails the test when there are more, or when they do
// not come.
func (j *Journal) Await(tb testing.TB, n int) []map[string]any {
	tb.Helper()
	timeout := time.After(30 * time.Second)
	for {
		j.mu.Lock()
		events := slices.Clone(j.events)
		if len(events) < n && j.appended == nil {
			j.appended = make(chan struct{})
		}
		appended := j.appended
		j.mu.Unlock()
		if len(events) > n {
			tb.Fatalf("there are %d events, want %d", len(events), n)
		}
		if len(events) == n {
			return rows(tb, events)
		}
		select {
		case <-appended:
		case <-timeout:
			tb.Fatalf("there are %d events, want %d", len(events), n)
		}
	}
}

func rows(tb testing.TB, events []usage.Event) []map[string]any {
	tb.Helper()
	slices.SortStableFunc(events, func(a, b usage.Event) int { return b.Time.Compare(a.Time) })
	rows := make([]map[string]any, len(events))
	for i := range events {
		text, err := json.Marshal(&events[i])
		if err == nil {
			err = json.Unmarshal(text, &rows[i])
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return rows
}
