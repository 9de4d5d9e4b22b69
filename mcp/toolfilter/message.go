package toolfilter

import (
	"strings"

	"github.com/tallygate/tallygate/mcp"
)

// heldMessage is what is known of the message of an event while it is held: until
// then it may be a notification about a task, notifications/tasks/status (MCP
// 2025-11-25) or notifications/tasks (the tasks extension).
type heldMessage struct {
	held      bool
	aboutTask bool // its method says so
	task      []byte
	hasTask   bool
}

// OnlyTasks makes the filter drop notifications about tasks from an event stream,
// unless isMine reports that the task is the client's. An event without data is
// left of each, as servers send them since MCP 2025-11-25. It is for after Reset.
func (f *Filter) OnlyTasks(isMine func(task string) bool) { f.isMine = isMine }

// beginMessage holds the message that begins if it may be a notification.
// Notifications come as events, and not in the batches of revision 2025-03-26,
// which knows no tasks.
func (f *Filter) beginMessage() {
	if f.isStream && f.isMine != nil && len(f.open) == 0 {
		f.holding, f.message = true, heldMessage{held: true}
	}
}

// answers is called where the message turns out to answer a request.
func (f *Filter) answers() {
	if f.message.held {
		f.passMessage()
	}
}

// passMessage passes on the message that is held. What is left of it is not read
// where no list can be in it.
func (f *Filter) passMessage() {
	f.release()
	if len(f.lists) == 0 {
		f.state, f.position, f.open = inOther, atTop, f.open[:0]
	}
}

// endMethod is called behind the method of the message.
func (f *Filter) endMethod() {
	if !f.message.held {
		return // it became too long meanwhile
	}
	method, ok := mcp.DecodeString(f.held[f.element:])
	if f.message.aboutTask = ok && strings.HasPrefix(string(method), "notifications/tasks"); f.message.aboutTask {
		f.decideMessage()
	} else {
		f.passMessage()
	}
}

// endTaskID is called behind the taskId in the params of the message.
func (f *Filter) endTaskID() {
	if !f.message.held {
		return
	}
	f.message.task, f.message.hasTask = mcp.DecodeString(f.held[f.element:])
	f.decideMessage()
}

// decideMessage passes on a notification about a task of the client's, and drops
// one about another's.
func (f *Filter) decideMessage() {
	if !f.message.aboutTask || !f.message.hasTask {
		return
	}
	if f.isMine(string(f.message.task)) {
		f.passMessage()
	} else {
		f.dropMessage()
	}
}

func (f *Filter) dropMessage() {
	f.dropHeld()
	f.holding, f.message.held, f.dropping = false, false, true
}

// endMessage is called behind the message of an event. One that is held is about
// no task.
func (f *Filter) endMessage() {
	if f.message.held {
		f.release()
	}
	f.dropping = false
}

// tooLong is called when too much is held.
func (f *Filter) tooLong() {
	switch {
	case !f.message.held:
		f.fail(errTooLong)
	case f.message.aboutTask:
		f.dropMessage()
	default:
		f.passMessage()
	}
}
