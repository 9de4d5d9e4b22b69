package identity

import (
	"errors"
	"fmt"
	"time"
)

// Role decides what a user may do besides using their own keys.
type Role string

// The roles.
const (
	Admin  Role = "admin" // sees and manages everyone
	Member Role = "user"  // sees and manages themselves
)

// Check returns an Invalid for anything that is not a role.
func (r Role) Check() error {
	if r != Admin && r != Member {
		return Invalid(fmt.Sprintf("the role is %s: it must be %q or %q", Quote(string(r)), string(Admin), string(Member)))
	}
	return nil
}

// User is a person who logs in and owns keys.
type User struct {
	ID           string // UUIDv7
	Email        string // as NormalizeEmail returns it; unique
	PasswordHash string // PHC string of argon2id, from HashPassword
	Role         Role
	Disabled     bool   // the login and every key of the user are refused
	Limits       Limits // over all keys of the user together, whatever each has of its own
	TokenEpoch   int64  // tokens of an earlier epoch are refused: see Session
	CreatedAt    time.Time
}

// Key is the record of an API key. It has the digest, never the key itself.
type Key struct {
	ID           string // UUIDv7
	UserID       string
	Name         string
	Note         string
	Prefix       string   // the part that may be shown: "sk-a1b2c3d4…"
	Digest       Digest   // SHA-256 of the key; unique
	Scopes       []string // patterns for NewScope; none: every tool
	Limits       Limits
	CreatedAt    time.Time
	ExpiresAt    time.Time // zero: never
	RevokedAt    time.Time // zero: not revoked
	RevokeReason string
	LastUsedAt   time.Time // at most a minute late; zero: never
	Replaces     string    // the ID of the key that a rotation replaced by this one
	ReplacedBy   string    // the ID of the key that a rotation replaced this one by
}

// Status is what a key is at a moment.
type Status string

// The statuses.
const (
	Active  Status = "active"
	Expired Status = "expired"
	Rotated Status = "rotated" // replaced by a rotation, whose overlap has ended
	Revoked Status = "revoked"
	// OwnerDisabled is a key that would be active, of a user who is disabled.
	OwnerDisabled Status = "user_disabled"
)

// Status returns what the key is at now. A key is expired at ExpiresAt already.
func (k *Key) Status(now time.Time) Status {
	switch {
	case !k.RevokedAt.IsZero():
		return Revoked
	case k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt):
		return Active
	case k.ReplacedBy != "":
		return Rotated
	default:
		return Expired
	}
}

// StatusOf is Status for a key of a user, who may be disabled.
func (k *Key) StatusOf(owner User, now time.Time) Status {
	if s := k.Status(now); s != Active || !owner.Disabled {
		return s
	}
	return OwnerDisabled
}

// ExpiresWithin reports whether the key is active now and will have expired when
// d has passed.
func (k *Key) ExpiresWithin(d time.Duration, now time.Time) bool {
	return k.Status(now) == Active && !k.ExpiresAt.IsZero() && !now.Add(d).Before(k.ExpiresAt)
}

// Errors of a Store. Anything else is a technical fault.
var (
	ErrNotFound     = errors.New("not found")
	ErrEmailTaken   = errors.New("a user with this address exists already")
	ErrLastAdmin    = errors.New("this is the last admin who can log in: make another one first")
	ErrNotActive    = errors.New("the key is not active, or has been rotated already")
	ErrReceiptTaken = errors.New("there is an answer for this idempotency key already")
)
