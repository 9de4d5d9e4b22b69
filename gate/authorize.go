package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// identify finds out who calls. It refuses nobody: x.principal is nil, and
// x.denied says why, where there is no live key.
func (x *exchange) identify(r *http.Request) {
	var ref *refusal
	if x.presented, ref = presentedKey(r.Header); ref != nil {
		x.denied = ref
		return
	}
	addr, _ := netip.ParseAddr(x.remoteIP) // the zero Addr for none
	principal, denial, err := x.backend.Authenticator.Authenticate(r.Context(), x.presented, addr)
	switch {
	case err != nil:
		x.denied = unavailable("The key cannot be checked now; try again", err)
	case denial != nil:
		x.denied, x.denial = unauthorized(denial.Reason), denial
	default:
		x.principal = principal
	}
}

// presentedKey returns the API key that a request carries: in Authorization, as a
// bearer token or without a scheme, or in X-API-Key, for clients that have no
// field for a bearer token. The same key may be in both.
func presentedKey(h http.Header) (string, *refusal) {
	authorization, inAuthorization := singleCredential(h["Authorization"])
	key, inAPIKey := singleCredential(h["X-Api-Key"])
	if scheme, token, ok := strings.Cut(authorization, " "); ok {
		if !strings.EqualFold(scheme, "Bearer") {
			return "", unauthorized(reasonMalformedKey)
		}
		authorization = strings.TrimLeft(token, " ")
	}
	switch {
	case inAuthorization == 0 && inAPIKey == 0:
		return "", unauthorized(reasonNoKey)
	case inAuthorization > 1 || inAPIKey > 1 || inAuthorization+inAPIKey == 2 && authorization != key:
		return "", &refusal{status: http.StatusUnauthorized, reason: reasonTwoKeys, code: codeTwoKeys,
			message: "More than one API key was sent: send one, in Authorization or in X-API-Key"}
	case inAuthorization == 1:
		return authorization, nil
	}
	return key, nil
}

// singleCredential returns the first value of a header and how many there are. A
// single empty value counts as none.
func singleCredential(values []string) (first string, n int) {
	if first = firstValue(values); first == "" && len(values) == 1 {
		return "", 0
	}
	return first, len(values)
}

// authorize decides whether the request may pass. A public message may, unless
// its session is another user's. All else needs a live key, whose user owns the
// session and whose scopes include the tools that are called.
func (x *exchange) authorize(r *http.Request) *refusal {
	keyed := firstKeyed(&x.body)
	public := keyed == nil && r.Method == http.MethodPost
	if x.principal == nil && !public {
		ref := x.denied
		if keyed != nil {
			ref.id = keyed.ID
		}
		return ref
	}
	if ref := x.enterSession(); ref != nil {
		switch {
		case keyed != nil:
			ref.id = keyed.ID
		case public:
			ref.id = x.body.Messages[0].ID
		}
		return ref
	}
	if public {
		// From here on the message is nobody's. All that is left of its user is
		// whose the session is that it opens.
		x.opening, x.principal, x.sessionID = x.user(), nil, ""
		return nil
	}
	if ref := x.checkTasks(); ref != nil {
		ref.answerEach(&x.body)
		return ref
	}
	return x.checkScope()
}

// firstKeyed returns the first message that needs a key, or nil.
func firstKeyed(body *mcp.Body) *mcp.Message {
	for i := range body.Messages {
		if m := &body.Messages[i]; !m.Public() {
			return m
		}
	}
	return nil
}

// enterSession refuses a session of another user. To anyone but its owner a
// session does not exist, and clients open a new one on 404 (MCP 2025-11-25,
// transports, session management).
func (x *exchange) enterSession() *refusal {
	if x.sessionID == "" {
		return nil
	}
	var ok bool
	x.sessionKey = sessionKey(x.gate.server, x.sessionID)
	if x.client, ok = x.backend.Calls.owners.enterSession(x.sessionKey, x.user()); ok {
		return nil
	}
	if x.principal == nil && x.denied.status >= http.StatusTooManyRequests {
		return x.denied // the key may be the owner's, but cannot be checked now
	}
	return &refusal{status: http.StatusNotFound, reason: reasonSession, code: codeSession, message: "Session not found"}
}

// user returns the ID of the user who makes the request, or "".
func (x *exchange) user() string {
	if x.principal == nil {
		return ""
	}
	return x.principal.UserID
}

// checkTasks refuses a request about a task that is not the user's: to anyone but
// its owner a task does not exist (MCP 2025-11-25, tasks, security). A task that
// the gate does not know is nobody's. Where a message only mentions a task, it may
// mean one of the client's own.
func (x *exchange) checkTasks() *refusal {
	for i := range x.body.Messages {
		msg := &x.body.Messages[i]
		refused := false
		if msg.IsAboutTask() {
			_, owner := x.task(msg.TaskID)
			refused = owner != x.principal.UserID
		}
		for _, id := range msg.MentionedTasks() {
			_, owner := x.task(id)
			refused = refused || owner != "" && owner != x.principal.UserID
		}
		if !refused {
			continue
		}
		if revision, _, _ := msg.ClientInfo(); msg.Method == "tasks/result" && revision >= "2026-07-28" {
			return &refusal{status: http.StatusNotFound, reason: reasonTask, code: noSuchMethod,
				message: "Method not found: since 2026-07-28 tasks/get has the result"}
		}
		return &refusal{status: http.StatusOK, reason: reasonTask, code: noSuchTask, message: "Failed to retrieve task: Task not found"}
	}
	return nil
}

// task returns the tool that a task runs, and the task's owner, or "" for a task
// that is not known.
func (x *exchange) task(id string) (tool, owner string) {
	v, owner, _ := x.backend.Calls.owners.get(taskOwnerKey(x.gate.server, id))
	return v.tool, owner
}

// mayKnowTask reports whether the request's client may see what concerns a task.
func (x *exchange) mayKnowTask(id string) bool {
	if x.principal == nil {
		return false
	}
	tool, owner := x.task(id)
	return owner == x.principal.UserID && x.principal.Scope.AllowsTool(x.gate.server, tool)
}

// toolOf returns the tool that a message calls, or that runs as the task that the
// message is about.
func (x *exchange) toolOf(msg *mcp.Message) (tool string, ok bool) {
	switch {
	case msg.IsCall():
		return msg.Tool, true
	case msg.IsAboutTask():
		tool, _ = x.task(msg.TaskID)
		return tool, true
	}
	return "", false
}

// admit lets the calls of the request begin: while their events can be kept, and
// within the limits of the key. A batch is admitted as a whole or not at all.
func (x *exchange) admit(ctx context.Context) *refusal {
	first := slices.IndexFunc(x.body.Messages, func(m mcp.Message) bool { return m.IsCall() })
	if first < 0 {
		return nil
	}
	if x.backend.Calls.journal.Admit() != nil { // which logs and counts it
		return &refusal{status: http.StatusServiceUnavailable, reason: reasonUnrecorded, code: codeUnrecorded,
			message: "Usage cannot be recorded now; try again", id: x.body.Messages[first].ID}
	}
	if x.principal.Limits == (identity.Limits{}) && x.principal.UserLimits == (identity.Limits{}) {
		return nil
	}
	for i := first; i < len(x.body.Messages); i++ {
		if !x.body.Messages[i].IsCall() {
			continue
		}
		p, err := x.backend.Limiter.Acquire(ctx,
			quota.Subject{ID: x.principal.KeyID, Limits: x.principal.Limits}, quota.Subject{ID: x.principal.UserID, Limits: x.principal.UserLimits})
		if err == nil {
			x.permits = append(x.permits, p)
			continue
		}
		for _, p := range x.permits {
			p.Release()
		}
		x.permits = nil
		exceeded, ok := errors.AsType[*quota.Exceeded](err)
		if !ok { // the client is gone, or the gate is about to be
			ref := unavailable("The limits of the key cannot be checked now; try again", nil)
			ref.id = x.body.Messages[i].ID
			return ref
		}
		return &refusal{status: http.StatusTooManyRequests, reason: exceeded.Limit, code: codeLimit,
			message: limitMessage(exceeded), retryAfter: exceeded.RetryAfter}
	}
	return nil
}

// limitMessage says which limit a call would exceed.
func limitMessage(e *quota.Exceeded) string {
	what := identity.LimitFieldNamed(e.Limit).Text
	if e.Value == 1 {
		what = strings.Replace(what, "s ", " ", 1)
	}
	wait := time.Duration(wholeSeconds(e.RetryAfter)) * time.Second
	if e.OfUser {
		return fmt.Sprintf("All API keys of this user together are limited to %d %s; try again in %v", e.Value, what, wait)
	}
	return fmt.Sprintf("This API key is limited to %d %s; try again in %v", e.Value, what, wait)
}

// nextPermit returns the permit of the request's next call.
func (x *exchange) nextPermit() (p quota.Permit) {
	if len(x.permits) > 0 {
		p, x.permits = x.permits[0], x.permits[1:]
	}
	return p
}

// recordDenied counts the calls of a request that is denied to its key, has each
// of them leave an event, and completes the refusal. A retry leaves none where it
// may come again: its call stays pending.
func (x *exchange) recordDenied(ref *refusal) {
	ref.answerEach(&x.body)
	if ref.batch != nil {
		ref.message += "; nothing of the batch was run"
	}
	calls := x.backend.Calls
	for i := range x.body.Messages {
		msg := &x.body.Messages[i]
		if !msg.IsCall() {
			continue
		}
		denied := func(e *usage.Event) {
			e.Outcome = ref.outcome()
			e.HTTPStatus, e.RPCCode = usage.Int64(int64(ref.status)), usage.Int64(int64(ref.code))
			e.ResponseBytes = int64(len(ref.answer(msg.ID)))
		}
		if msg.Retry {
			key := x.retryKey(msg)
			if _, pending := calls.lookup(key); pending && x.principal.Scope.AllowsTool(x.gate.server, msg.Tool) {
				continue
			}
			if c := x.claimRetry(key, msg); c != nil {
				calls.finish(c, denied)
				continue
			}
		}
		e := x.newEvent(msg)
		denied(&e)
		calls.recordRejected(&e, x.arrived)
	}
}
