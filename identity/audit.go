package identity

import (
	"context"
	"time"
)

// Action is what a row of the audit log records.
type Action string

// The actions.
const (
	LoggedIn       Action = "login"
	LoginFailed    Action = "login.failed"
	LoggedOut      Action = "logout"
	SessionsEnded  Action = "sessions.ended"
	UserCreated    Action = "user.created"
	UserInvited    Action = "user.invited"
	UserDisabled   Action = "user.disabled"
	UserEnabled    Action = "user.enabled"
	PasswordSet    Action = "user.password"
	RoleSet        Action = "user.role"
	UserLimitsSet  Action = "user.limits"
	InviteDropped  Action = "invite.withdrawn"
	InviteAccepted Action = "invite.accepted"
	KeyCreated     Action = "key.created"
	KeyUpdated     Action = "key.updated"
	KeyRevoked     Action = "key.revoked"
	KeyRotated     Action = "key.rotated"
	SigningKeyMade Action = "signing_key.created"
	SigningKeyDrop Action = "signing_keys.retired"
)

// AuditEntry is a row of the audit log. It holds no secret.
type AuditEntry struct {
	ID     string // UUIDv7, so that rows are in the order of their IDs
	At     time.Time
	Action Action
	Actor
	UserID   string            // the user it concerns, or the owner of the key; empty: none
	TargetID string            // what was changed: the ID of a user, key, invitation or signing key
	Target   string            // its name at that time: an address or the name of a key
	Details  map[string]string // anything else, by name
}

// Actor is the user who makes a change, and their address. The zero Actor is the
// program itself, or somebody at its command line.
type Actor struct {
	ActorID    string // a user's
	ActorEmail string
	IP         string
}

type actorKey struct{}

// WithActor returns a context whose changes a Store attributes to an actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns the actor of a context.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// AuditQuery selects rows of the audit log. A field that is zero does not narrow
// the selection.
type AuditQuery struct {
	ActorID  string
	UserID   string
	TargetID string
	Action   Action
	From, To time.Time // rows at From and later, before To
	// Before is the ID of the last row of the page before; empty for the first
	// page.
	Before string
	Limit  int // rows; DefaultAuditLimit when zero, at most MaxAuditLimit
}

// The sizes of a page of the audit log.
const (
	DefaultAuditLimit = 50
	MaxAuditLimit     = 1000
)

// PageSize returns how many rows a page has at most.
func (q AuditQuery) PageSize() int {
	if q.Limit <= 0 {
		return DefaultAuditLimit
	}
	return min(q.Limit, MaxAuditLimit)
}
