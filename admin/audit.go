package admin

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// auditItem is a row of the audit log.
type auditItem struct {
	ID         string            `json:"audit_id"`
	At         time.Time         `json:"at"`
	Action     identity.Action   `json:"action"`
	ActorID    *string           `json:"actor_id"`
	ActorEmail *string           `json:"actor_email"`
	IP         *string           `json:"ip"`
	UserID     *string           `json:"user_id"`
	TargetID   *string           `json:"target_id"`
	Target     *string           `json:"target"`
	Details    map[string]string `json:"details"`
}

// auditAnswer is one page of the audit log, newest first.
type auditAnswer struct {
	items[auditItem]
	PageSize   int     `json:"page_size"`
	NextCursor *string `json:"next_cursor"` // null on the last page
}

func (a *API) audit(ctx context.Context, r *request) (any, error) {
	size := r.query.wholeNumber("page_size", defaultPageSize, maxPageSize)
	q := identity.AuditQuery{
		Limit:    size + 1, // one more, to see whether there is a next page
		Before:   r.query.id("cursor", "the next_cursor of an answer"),
		TargetID: r.query.id("target_id", "the ID of a user, a key, an invitation or a signing key"),
	}
	q.From, q.To = r.query.span()
	q.Action = oneOf(&r.query, "action", actions)
	q.ActorID = a.userIDByEmail(ctx, r, "actor", "a user's email address")
	q.UserID = a.userIDByEmail(ctx, r, "user", "a user's email address")
	if r.query.err != nil {
		return nil, r.query.err
	}
	entries, err := a.store.AuditLog(ctx, q)
	if err != nil {
		return nil, storeFault(err)
	}
	answer := auditAnswer{PageSize: size}
	if len(entries) > size {
		entries, answer.NextCursor = entries[:size], &entries[size-1].ID
	}
	answer.items = showAll(entries, shownEntry)
	return answer, nil
}

// actions has every action that the audit log records.
var actions = []identity.Action{
	identity.LoggedIn, identity.LoginFailed, identity.LoggedOut, identity.SessionsEnded,
	identity.UserCreated, identity.UserInvited, identity.UserDisabled, identity.UserEnabled,
	identity.PasswordSet, identity.RoleSet, identity.UserLimitsSet, identity.InviteDropped, identity.InviteAccepted,
	identity.KeyCreated, identity.KeyUpdated, identity.KeyRevoked, identity.KeyRotated,
	identity.SigningKeyMade, identity.SigningKeyDrop,
}

func shownEntry(e identity.AuditEntry) auditItem {
	details := e.Details
	if details == nil {
		details = map[string]string{}
	}
	return auditItem{
		e.ID, e.At, e.Action, orNull(e.ActorID), orNull(e.ActorEmail), orNull(e.IP),
		orNull(e.UserID), orNull(e.TargetID), orNull(e.Target), details,
	}
}
