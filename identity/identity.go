// Package identity is who may call: users, their API keys, how both are
// proven (argon2id for passwords, SHA-256 for keys), and the Store interface
// they are kept in. It knows neither Caddy nor a database driver; stores live
// in sub-packages and pass identitytest.Run.
package identity

import (
	"context"
	"errors"
	"time"
)

// Role is what a user may do beside using their own keys.
type Role string

// The roles.
const (
	Admin  Role = "admin" // sees and manages everyone
	Member Role = "user"  // sees and manages themselves
)

// User is a person who logs in and owns keys.
type User struct {
	ID           string // UUIDv7
	Email        string // as NormalizeEmail returns it; unique
	PasswordHash string // PHC string of argon2id, from HashPassword
	Role         Role
	Disabled     bool // refuses the login and every key of the user
	CreatedAt    time.Time
}

// Key is an API key as it is stored: its digest, never the key itself.
type Key struct {
	ID        string // UUIDv7
	UserID    string
	Name      string
	Prefix    string // what may be shown: "sk-a1b2c3d4…"
	Digest    Digest // SHA-256 of the key; unique
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: not revoked
}

// Status of a key at a moment.
type Status string

// The statuses.
const (
	Active  Status = "active"
	Expired Status = "expired"
	Revoked Status = "revoked"
)

// Status tells what the key is at now. A key expires at ExpiresAt, not after.
func (k *Key) Status(now time.Time) Status {
	switch {
	case !k.RevokedAt.IsZero():
		return Revoked
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return Expired
	default:
		return Active
	}
}

// Errors of a Store. Anything else is a technical fault.
var (
	ErrNotFound   = errors.New("not found")
	ErrEmailTaken = errors.New("a user with this address exists already")
)

// Store is where users and keys live. Implementations are safe for concurrent
// use, open their connections lazily (at the first call, migrations included),
// keep times in UTC to the microsecond, and return ErrNotFound for what is not
// there. identitytest.Run is their contract.
type Store interface {
	// CreateUser stores a new user, or returns ErrEmailTaken.
	CreateUser(ctx context.Context, u User) error
	// CreateFirstUser stores a user only while there is none at all, and tells
	// whether it did; of several callers at once, one is told so.
	CreateFirstUser(ctx context.Context, u User) (bool, error)
	User(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	// Users lists everyone, oldest first.
	Users(ctx context.Context) ([]User, error)
	SetPassword(ctx context.Context, userID, passwordHash string) error
	SetDisabled(ctx context.Context, userID string, disabled bool) error

	CreateKey(ctx context.Context, k Key) error
	// KeyByDigest returns a key, live or not, and the user who owns it.
	KeyByDigest(ctx context.Context, d Digest) (Key, User, error)
	// Keys lists the keys of a user, or everyone's for "", newest first.
	Keys(ctx context.Context, userID string) ([]Key, error)
	// RevokeKey revokes a key of a user, or anyone's for "", and returns it. A
	// key that is revoked already keeps its first RevokedAt.
	RevokeKey(ctx context.Context, userID, keyID string, at time.Time) (Key, error)

	// Secret returns the secret kept under a name; where there is none, it
	// keeps and returns fresh. Of several callers at once, all get the same.
	Secret(ctx context.Context, name string, fresh []byte) ([]byte, error)

	Close() error
}
