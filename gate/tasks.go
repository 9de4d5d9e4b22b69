package gate

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
)

// maxEndedTasks bounds for how many tasks that have ended the journal keeps whose
// they are.
const maxEndedTasks = 10_000

// endedTask is what the journal keeps of a task that has ended.
type endedTask struct {
	id       uuid.UUID // in the journal
	deadline time.Time // when the task's result can no longer be asked for
}

// ownTask remembers that a task is a call's and its user's. The upstream chooses
// the ids of its tasks: one that it uses again is the latest call's.
func (r *CallRegistry) ownTask(c *call, task callKey) {
	c.task = task
	r.owners.add(task, c.event.UserID, owned{tool: c.event.Tool})
}

// keepTask keeps in the journal whose the task of a call is that ends, until
// nobody can ask for its result any more. The caller holds c.mu.
func (r *CallRegistry) keepTask(c *call) {
	now := time.Now()
	if c.task == (callKey{}) || !c.deadline.After(now) {
		return
	}
	task := endedTask{usage.NewID(now), c.deadline}
	if !r.addEnded(task) {
		return
	}
	err := r.journal.Suspend(&journal.PendingCall{
		Event: usage.Event{ID: task.id, Time: c.event.Time, UserID: c.event.UserID, Tool: c.event.Tool},
		Key:   hex.EncodeToString(c.task[:]), Deadline: task.deadline, Ended: true,
	})
	if err != nil {
		r.log.Warn("whose a task is that has ended cannot be kept; after a restart its result can no longer be asked for", "error", err)
	}
}

// addEnded adds a task that has ended, and drops those whose time is over. It
// returns false when there are too many.
func (r *CallRegistry) addEnded(task endedTask) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.ended = slices.DeleteFunc(r.ended, func(t endedTask) bool {
		over := !t.deadline.After(now)
		if over {
			r.journal.Forget(t.id)
		}
		return over
	})
	if len(r.ended) >= r.maxEnded {
		return false
	}
	r.ended = append(r.ended, task)
	return true
}

// restoreTask remembers whose a task is that ended in an earlier process.
func (r *CallRegistry) restoreTask(h *journal.PendingCall) {
	var task callKey
	n, err := hex.Decode(task[:], []byte(h.Key))
	if err != nil || n != len(task) || !h.Deadline.After(time.Now()) || !r.addEnded(endedTask{h.Event.ID, h.Deadline}) {
		r.journal.Forget(h.Event.ID)
		return
	}
	r.owners.add(task, h.Event.UserID, owned{tool: h.Event.Tool})
}
