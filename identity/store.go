package identity

import (
	"context"
	"time"
)

// Store is where users, keys and what belongs to them live. Implementations
// are safe for concurrent use, open their connections lazily (at the first
// call, migrations included), keep times in UTC to the microsecond, and return
// ErrNotFound for what is not there. identitytest.Run is their contract.
//
// Each change leaves a row in the audit log, in the transaction of the change
// and in the name of the context's Actor; what changes nothing leaves none.
type Store interface {
	UserStore
	KeyStore
	SessionStore
	TallyStore

	// Audit adds a row for what is no change of the store, such as a login. Its
	// ID, time, actor and address are set where they are empty.
	Audit(ctx context.Context, e AuditEntry) error
	// AuditLog lists rows, newest first.
	AuditLog(ctx context.Context, q AuditQuery) ([]AuditEntry, error)

	// Secret returns the secret kept under a name; where there is none, it
	// keeps and returns fresh. Of several callers at once, all get the same.
	Secret(ctx context.Context, name string, fresh []byte) ([]byte, error)

	Close() error
}

// UserStore is the part of a Store that holds users and their invitations.
type UserStore interface {
	// CreateUser stores a new user, or returns ErrEmailTaken.
	CreateUser(ctx context.Context, u User) error
	// CreateFirstUser stores a user only while there is none at all, and tells
	// whether it did; of several callers at once, one is told so.
	CreateFirstUser(ctx context.Context, u User) (bool, error)
	User(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	// Users lists everyone, oldest first.
	Users(ctx context.Context) ([]User, error)
	// SetPassword ends the user's sessions, too.
	SetPassword(ctx context.Context, userID, passwordHash string) error
	// SetDisabled ends the user's sessions when it disables. It returns
	// ErrLastAdmin rather than leave no admin who is not disabled, and so does
	// SetRole.
	SetDisabled(ctx context.Context, userID string, disabled bool) error
	SetRole(ctx context.Context, userID string, role Role) error
	// SetUserLimits sets the limits of each key of the user that has none of
	// its own.
	SetUserLimits(ctx context.Context, userID string, l Limits) error

	// CreateInvite stores an invitation in place of any other for its address
	// that was not accepted. It returns ErrEmailTaken when there is such a user.
	CreateInvite(ctx context.Context, i Invite) error
	// Invites lists the invitations that were not accepted, expired ones
	// included, newest first.
	Invites(ctx context.Context) ([]Invite, error)
	// InviteByDigest returns an invitation, open or not.
	InviteByDigest(ctx context.Context, d Digest) (Invite, error)
	// WithdrawInvite deletes an invitation that was not accepted.
	WithdrawInvite(ctx context.Context, id string) error
	// AcceptInvite makes the user that an invitation is for, with the ID, the
	// password hash and the time of u. It returns ErrNotFound unless the
	// invitation is open at u.CreatedAt; of several callers at once, one is
	// served.
	AcceptInvite(ctx context.Context, d Digest, u User) (User, error)
}

// KeyStore is the part of a Store that holds keys.
type KeyStore interface {
	CreateKey(ctx context.Context, k Key) error
	// CreateKeyOnce creates a key and keeps the receipt of it, both or neither.
	// It returns ErrReceiptTaken while another is kept under the same user and
	// ID.
	CreateKeyOnce(ctx context.Context, k Key, r Receipt) error
	// Receipt returns what was kept, unless it had expired at now.
	Receipt(ctx context.Context, userID string, id Digest, now time.Time) (Receipt, error)
	// KeyByDigest returns a key, live or not, and the user who owns it.
	KeyByDigest(ctx context.Context, d Digest) (Key, User, error)
	// Keys lists the keys of a user, or everyone's for "", newest first.
	Keys(ctx context.Context, userID string) ([]Key, error)
	// UpdateKey changes a key of a user, or anyone's for "", and returns it.
	UpdateKey(ctx context.Context, userID, keyID string, c KeyChange) (Key, error)
	// RevokeKey revokes a key of a user, or anyone's for "", and returns it. A
	// key that is revoked already keeps its first RevokedAt and RevokeReason.
	RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (Key, error)
	// RotateKey stores fresh in the place of a key of a user, or of anyone for
	// "", with the owner, name, note, scopes and limits of the old one, which
	// expires at until, unless it would sooner. It returns both, or ErrNotActive
	// when the old key was not active at fresh.CreatedAt or has been rotated
	// already.
	RotateKey(ctx context.Context, userID, keyID string, fresh Key, until time.Time) (old, replacement Key, err error)
	// TouchKeys notes when keys were last used, by their IDs. A key that was
	// used later, or is not there, stays as it is.
	TouchKeys(ctx context.Context, used map[string]time.Time) error
}

// SessionStore is the part of a Store that tells which tokens of the admin API
// are good.
type SessionStore interface {
	// Session returns the user of a token, or ErrNotFound when there is no such
	// user, they are disabled, their TokenEpoch is another, or the token was
	// revoked.
	Session(ctx context.Context, userID, tokenID string, epoch int64) (User, error)
	// RevokeToken has one token of a user refused from now on. It may be
	// forgotten after expiresAt, when the token has expired by itself.
	RevokeToken(ctx context.Context, userID, tokenID string, expiresAt time.Time) error
	// EndSessions has all tokens of a user refused that were made before.
	EndSessions(ctx context.Context, userID string) error

	// SigningKeys lists the keys that tokens are signed with, newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddSigningKey stores a key unless there is one that was created at newest
	// or later, and tells whether it did; of several callers at once, one is
	// told so. It forgets those that have expired by k.CreatedAt.
	AddSigningKey(ctx context.Context, k SigningKey, newest time.Time) (bool, error)
	// RetireSigningKeys forgets the keys that were created before a time.
	RetireSigningKeys(ctx context.Context, before time.Time) error
}

// KeyChange is what UpdateKey changes of a key: what is not nil.
type KeyChange struct {
	Name      *string
	Note      *string
	Scopes    *[]string
	Limits    *Limits
	ExpiresAt *time.Time // zero: never
}

// Notifier is a Store that several processes share and that tells each of what
// the others change.
type Notifier interface {
	// Listen tells of changes to users and keys until the context ends, whatever
	// happens to the connection in between.
	//
	// heard is called again and again while the connection is known to work,
	// with a span of time (of this process's clock): all changes that were
	// committed in it have been told, or will be in the next instant. changed is
	// called with what is to be read anew: a user, or where there is no userID the
	// key of a digest.
	Listen(ctx context.Context, heard func(from, to time.Time), changed func(userID string, key Digest))
}

// TallyStore is the part of a Store that holds what all replicas together have
// used of the limits of keys.
type TallyStore interface {
	// UpdateTallies lets a function change the tallies of some keys, each named
	// once, in the order of their IDs. Nobody else reads or changes them
	// meanwhile. A key that has none yet gets a zero Tally. now is the store's
	// time, which is the same for all replicas.
	UpdateTallies(ctx context.Context, keyIDs []string, update func(now time.Time, tallies []Tally)) error
}

// Tally is what all replicas together have used of the limits of a key.
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
