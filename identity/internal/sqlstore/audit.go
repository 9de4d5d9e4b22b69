package sqlstore

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/internal/uuidv7"
)

// audit adds a row about the transaction.
func (t tx) audit(e identity.AuditEntry) error {
	if e.ID == "" {
		e.ID = uuidv7.New(time.Now()).String()
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if e.Actor == (identity.Actor{}) {
		e.Actor = identity.ActorOf(t.ctx)
	}
	_, err := t.exec(insertAudit, auditFields(&e)...)
	return err
}

// aboutUser returns a row about a change to a user. Details are names and values,
// alternating.
func aboutUser(a identity.Action, u identity.User, details ...string) identity.AuditEntry {
	return identity.AuditEntry{Action: a, UserID: u.ID, TargetID: u.ID, Target: u.Email, Details: pairs(details)}
}

// aboutKey returns a row about a change to a key. Details are names and values,
// alternating.
func aboutKey(a identity.Action, k identity.Key, details ...string) identity.AuditEntry {
	return identity.AuditEntry{Action: a, UserID: k.UserID, TargetID: k.ID, Target: k.Name,
		Details: pairs(append([]string{"prefix", k.Prefix}, details...))}
}

func pairs(list []string) map[string]string {
	details := make(map[string]string, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		if list[i+1] != "" {
			details[list[i]] = list[i+1]
		}
	}
	return details
}

// limitsText returns limits as the details of a row have them.
func limitsText(l identity.Limits) string {
	b, _ := json.Marshal(l) // numbers always marshal
	return string(b)
}

// Audit implements identity.Store.
func (s *Store) Audit(ctx context.Context, e identity.AuditEntry) error {
	return s.change(ctx, func(t tx) error { return t.audit(e) })
}

// AuditLog implements identity.Store.
func (s *Store) AuditLog(ctx context.Context, q identity.AuditQuery) ([]identity.AuditEntry, error) {
	var where []string
	var args []any
	filter := func(condition string, given bool, arg any) {
		if given {
			args = append(args, arg)
			where = append(where, condition+placeholder(len(args)))
		}
	}
	filter("actor_id = ", q.ActorID != "", q.ActorID)
	filter("user_id = ", q.UserID != "", q.UserID)
	filter("target_id = ", q.TargetID != "", q.TargetID)
	filter("action = ", q.Action != "", string(q.Action))
	filter("at >= ", !q.From.IsZero(), micros{&q.From})
	filter("at < ", !q.To.IsZero(), micros{&q.To})
	filter("id < ", q.Before != "", q.Before)
	query := `SELECT ` + auditColumns + ` FROM audit`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	args = append(args, int64(q.PageSize()))
	return listAll(ctx, s, auditFields, query+` ORDER BY id DESC LIMIT `+placeholder(len(args)), args...)
}
