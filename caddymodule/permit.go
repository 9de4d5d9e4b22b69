package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// Why a key's calls are denied, as the metric labels it: its scopes, or one of
// its limits, as quota.Exceeded names them.
const deniedByScope = "scope"

var denials = append([]string{deniedByScope}, slices.DeleteFunc(identity.LimitNames(), func(name string) bool {
	return name == identity.LimitBurst // part of the calls a minute
})...)

// keyStats count what the gate refuses to keys, and to what is none.
type keyStats struct {
	denied    [5]atomic.Int64 // calls, by the place of why in denials
	throttled atomic.Int64    // requests whose keys were not looked up any more
}

// permit lets the calls of a request begin, or tells why none of them may: a
// batch is let in as a whole or not at all. Each call that is denied leaves its
// event; none reaches the upstream, and of none that is denied for its scope
// anything is taken of the key's limits.
func (m *meter) permit(r *http.Request, body *mcp.Body, arrived time.Time) *refusal {
	if m.principal.Scope != nil {
		if tool, found := m.outOfScope(body); found {
			// 200, like any call that ends in an error: on 403 clients look for an
			// authorisation server to ask for more.
			ref := &refusal{status: http.StatusOK, code: codeScope, message: fmt.Sprintf("This API key may not call the tool %q", clip(tool))}
			return m.deny(body, arrived, ref, deniedByScope)
		}
	}
	if ref := admit(body, m.backend.pipeline.journal); ref != nil {
		return ref
	}
	if m.principal.Limits == (identity.Limits{}) {
		return nil
	}
	m.permits = m.onePermit[:0]
	for i := range body.Messages {
		if !body.Messages[i].IsCall() {
			continue
		}
		p, err := m.backend.limiter.Acquire(r.Context(), m.principal.KeyID, m.principal.Limits)
		if err == nil {
			m.permits = append(m.permits, p)
			continue
		}
		for _, p := range m.permits {
			p.Release()
		}
		m.permits = nil
		var e *quota.Exceeded
		if !errors.As(err, &e) { // the client is gone, or the gate about to be
			return &refusal{status: http.StatusServiceUnavailable, id: body.Messages[i].ID, code: codeUnavailable, message: "The limits of the key cannot be checked now; try again"}
		}
		ref := &refusal{status: http.StatusTooManyRequests, code: codeLimit, message: exceeded(e), retryAfter: e.RetryAfter}
		return m.deny(body, arrived, ref, e.Limit)
	}
	return nil
}

// exceeded tells a person which limit a call would exceed.
func exceeded(e *quota.Exceeded) string {
	what := identity.LimitFieldNamed(e.Limit).Text
	if e.Value == 1 {
		what = strings.Replace(what, "s ", " ", 1)
	}
	wait := time.Duration(seconds(e.RetryAfter)) * time.Second
	return fmt.Sprintf("This API key is limited to %d %s; try again in %v", e.Value, what, wait)
}

// deny records the calls of a request that is refused, and completes the
// refusal. A retry leaves no event where it may come again: its call waits on.
func (m *meter) deny(body *mcp.Body, arrived time.Time, ref *refusal, why string) *refusal {
	if ref.batch = requestIDs(body); ref.batch == nil {
		ref.id = body.Messages[0].ID
	} else {
		ref.message += "; nothing of the batch was run"
	}
	open := m.backend.pipeline.open
	for i := range body.Messages {
		msg := &body.Messages[i]
		if !msg.IsCall() {
			continue
		}
		m.backend.pipeline.keys.denied[slices.Index(denials, why)].Add(1)
		if msg.Retry && m.principal.Scope.Match(msg.Tool) {
			if _, waits := open.find(m.retryKey(msg)); waits {
				continue
			}
		}
		open.settle(m.startCall(msg, arrived).call, func(e *usage.Event) {
			if e.Outcome = usage.HTTPError; ref.status == http.StatusOK {
				e.Outcome = usage.RPCError
			}
			e.HTTPStatus, e.RPCCode = usage.Int64(int64(ref.status)), usage.Int64(int64(ref.code))
			e.ResponseBytes = int64(len(ref.answer(msg.ID)))
		})
	}
	return ref
}

// nextPermit is that of the request's next call.
func (m *meter) nextPermit() (p quota.Permit) {
	if len(m.permits) > 0 {
		p, m.permits = m.permits[0], m.permits[1:]
	}
	return p
}

// uncheckable refuses a key that cannot be looked up: the client's address has
// shown too many that do not exist, or the store is away.
func uncheckable(b *backend, err error) *refusal {
	var t *authn.Throttled
	if !errors.As(err, &t) {
		return &refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, message: "The key cannot be checked now; try again", cause: err}
	}
	b.pipeline.keys.throttled.Add(1)
	text := t.Error()
	return &refusal{status: http.StatusTooManyRequests, code: codeThrottled, message: strings.ToUpper(text[:1]) + text[1:], retryAfter: t.RetryAfter}
}
