package admin

import (
	"context"
	"net/http"
	"slices"
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
	Items      []auditItem `json:"items"`
	PageSize   int         `json:"page_size"`
	NextCursor *string     `json:"next_cursor"` // null on the last page
}

func (a *API) audit(ctx context.Context, r request) (int, any, error) {
	q, err := a.readAudit(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	size := q.Limit
	q.Limit++ // one more row shows whether there is a next page
	entries, err := a.store.AuditLog(ctx, q)
	if err != nil {
		return 0, nil, storeFault(err)
	}
	answer := auditAnswer{Items: make([]auditItem, min(len(entries), size)), PageSize: size}
	for i := range answer.Items {
		answer.Items[i] = shownEntry(entries[i])
	}
	if len(entries) > size {
		answer.NextCursor = &entries[size-1].ID
	}
	return http.StatusOK, answer, nil
}

func (a *API) readAudit(ctx context.Context, r request) (q identity.AuditQuery, err error) {
	if q.Limit, err = r.query.wholeNumber("page_size", defaultPageSize, maxPageSize); err != nil {
		return q, err
	}
	if q.Before, err = r.query.id("cursor", "the next_cursor of an answer"); err != nil {
		return q, err
	}
	if q.TargetID, err = r.query.id("target_id", "the ID of a user, a key, an invitation or a signing key"); err != nil {
		return q, err
	}
	if q.From, q.To, err = r.query.span(); err != nil {
		return q, err
	}
	q.Action = identity.Action(r.query["action"])
	if q.Action != "" && !slices.Contains(actions, q.Action) {
		return q, invalid("action must be one of %v, not %s", actions, quote(string(q.Action)))
	}
	if email, given := r.query["actor"]; given {
		if q.ActorID, err = a.userIDByEmail(ctx, email, "actor must be a user's email address"); err != nil {
			return q, err
		}
	}
	if email, given := r.query["user"]; given {
		q.UserID, err = a.userIDByEmail(ctx, email, "user must be a user's email address")
	}
	return q, err
}

// actions are those that rows of the audit log tell of.
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
		e.ID, e.At, e.Action, optional(e.ActorID), optional(e.ActorEmail), optional(e.IP),
		optional(e.UserID), optional(e.TargetID), optional(e.Target), details,
	}
}
