package identity

import (
	"context"
	"time"
)

// Store keeps users, keys and what belongs to them. Implementations are safe for
// concurrent use, open their connections lazily (at the first call, migrations
// included), keep times in UTC to the microsecond, and return ErrNotFound for
// what does not exist. identitytest.Run checks all of this.
//
// Each change writes a row to the audit log, in the transaction of the change and
// attributed to the context's Actor. A call that changes nothing writes none.
type Store interface {
	UserStore
	KeyStore
	SessionStore
	TallyStore

	// Audit adds a row for an action that does not change the store, such as a
	// login. The ID, the time and the actor are set where they are empty.
	Audit(ctx context.Context, e AuditEntry) error
	// AuditLog lists rows, newest first.
	AuditLog(ctx context.Context, q AuditQuery) ([]AuditEntry, error)

	// Secret returns the secret that is stored under a name. Where there is none,
	// it stores and returns fresh. Concurrent callers all get the same.
	Secret(ctx context.Context, name string, fresh []byte) ([]byte, error)

	Close() error
}

// UserStore is the part of a Store that holds users and their invitations.
type UserStore interface {
	// CreateUser stores a new user, or returns ErrEmailTaken.
	CreateUser(ctx context.Context, u User) error
	// CreateFirstUser stores a user only while there is none at all, and reports
	// whether it did. Of concurrent callers, one succeeds.
	CreateFirstUser(ctx context.Context, u User) (bool, error)
	User(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	// Users lists everyone, oldest first.
	Users(ctx context.Context) ([]User, error)
	// SetPassword also ends the user's sessions.
	SetPassword(ctx context.Context, userID, passwordHash string) error
	// SetDisabled also ends the user's sessions when it disables them. SetDisabled
	// and SetRole withdraw the invitations that the user made as an admin, when they
	// end that, and return ErrLastAdmin when no admin who can log in would be left.
	SetDisabled(ctx context.Context, userID string, disabled bool) error
	SetRole(ctx context.Context, userID string, role Role) error
	// SetUserLimits sets the limits over all keys of the user together.
	SetUserLimits(ctx context.Context, userID string, l Limits) error

	// CreateInvite stores an invitation. It replaces any other invitation for the
	// address that was not accepted. It returns ErrEmailTaken when there is a user
	// with the address.
	CreateInvite(ctx context.Context, i Invite) error
	// Invites lists the invitations that were not accepted, expired ones
	// included, newest first.
	Invites(ctx context.Context) ([]Invite, error)
	// InviteByDigest returns an invitation, open or not.
	InviteByDigest(ctx context.Context, d Digest) (Invite, error)
	// WithdrawInvite deletes an invitation that was not accepted.
	WithdrawInvite(ctx context.Context, id string) error
	// AcceptInvite creates the user that an invitation is for, with the ID, the
	// password hash and the time of u. It returns ErrNotFound unless the invitation
	// is open at u.CreatedAt. Of concurrent callers, one succeeds.
	AcceptInvite(ctx context.Context, d Digest, u User) (User, error)
}

// KeyStore is the part of a Store that holds keys.
type KeyStore interface {
	CreateKey(ctx context.Context, k Key) error
	// CreateKeyOnce stores a key and its receipt, both or neither. It returns
	// ErrReceiptTaken while there is another receipt of the same user and ID.
	CreateKeyOnce(ctx context.Context, k Key, r Receipt) error
	// Receipt returns a receipt that has not expired at now.
	Receipt(ctx context.Context, userID string, id Digest, now time.Time) (Receipt, error)
	// Key returns a key, live or not.
	Key(ctx context.Context, id string) (Key, error)
	// KeyByDigest returns a key, live or not, and the user who owns it.
	KeyByDigest(ctx context.Context, d Digest) (Key, User, error)
	// Keys lists the keys of a user, or everyone's for "", newest first.
	Keys(ctx context.Context, userID string) ([]Key, error)
	// UpdateKey changes a key of a user, or anyone's for "", and returns it.
	UpdateKey(ctx context.Context, userID, keyID string, c KeyChange) (Key, error)
	// RevokeKey revokes a key of a user, or anyone's for "", and returns it. A
	// key that is revoked already keeps its first RevokedAt and RevokeReason.
	RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (Key, error)
	// RotateKey replaces a key of a user, or anyone's for "", by fresh, which gets
	// the owner, name, note, scopes and limits of the old key. The old key expires
	// at until, unless it would expire sooner. RotateKey returns both keys, or
	// ErrNotActive when the old key was not active at fresh.CreatedAt or has been
	// rotated already.
	RotateKey(ctx context.Context, userID, keyID string, fresh Key, until time.Time) (old, replacement Key, err error)
	// TouchKeys records when keys were last used, by their IDs. It never moves a
	// last use back, and ignores keys that do not exist.
	TouchKeys(ctx context.Context, used map[string]time.Time) error
}

// SessionStore is the part of a Store that decides which tokens of the admin API
// are valid.
type SessionStore interface {
	// Session returns the user of a token, or ErrNotFound when there is no such
	// user, they are disabled, their TokenEpoch is another, or the token was
	// revoked.
	Session(ctx context.Context, userID, tokenID string, epoch int64) (User, error)
	// RevokeToken revokes one token of a user. The store may forget that after
	// expiresAt, when the token has expired by itself.
	RevokeToken(ctx context.Context, userID, tokenID string, expiresAt time.Time) error
	// EndSessions revokes all tokens of a user that were made before.
	EndSessions(ctx context.Context, userID string) error

	// SigningKeys lists the keys that tokens are signed with, newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddSigningKey stores a key unless there is one that was created at newest or
	// later, and reports whether it did. Of concurrent callers, one succeeds. It
	// deletes the keys that have expired by k.CreatedAt.
	AddSigningKey(ctx context.Context, k SigningKey, newest time.Time) (bool, error)
	// RetireSigningKeys deletes the keys that were created before a time.
	RetireSigningKeys(ctx context.Context, before time.Time) error
}

// KeyChange is a change of a key: the fields that are not nil.
type KeyChange struct {
	Name      *string
	Note      *string
	Scopes    *[]string
	Limits    *Limits
	ExpiresAt *time.Time // zero: never
}

// Notifier is a Store that several processes share and that notifies each of the
// changes that the others make.
type Notifier interface {
	// Listen reports changes to users and keys until the context ends. It
	// reconnects when the connection breaks.
	//
	// heartbeat is called regularly while the connection works, with a span of
	// time (of this process's clock): all changes that were committed in it have
	// been reported, or are being reported now. changed is called for each change:
	// with the ID of a user, or where that is empty the digest of a key.
	Listen(ctx context.Context, heartbeat func(from, to time.Time), changed func(userID string, key Digest))
}

// TallyStore is the part of a Store that holds what all replicas together have
// used of the limits of keys and users.
type TallyStore interface {
	// UpdateTallies lets a function change the tallies of some keys and users, each
	// named once by ID, in that order. Nobody else reads or changes them
	// meanwhile. One that has none yet gets a zero Tally. now is the store's
	// time, which is the same for all replicas.
	UpdateTallies(ctx context.Context, ids []string, update func(now time.Time, tallies []Tally)) error
}

// Tally is what all replicas together have used of the limits of a key or user.
type Tally struct {
	// NextAt is when, at the rate of the limit, the next call of a key that
	// never paused would be due (the theoretical arrival time of GCRA), in
	// nanoseconds since 1970. It runs ahead of the clock by what is used of the
	// burst.
	NextAt int64 `json:"next_at,omitempty"`
	// Day is the day of Calls and Records, in days since 1970 UTC.
	Day     int64 `json:"day,omitempty"`
	Calls   int64 `json:"calls,omitempty"`
	Records int64 `json:"records,omitempty"`
}
