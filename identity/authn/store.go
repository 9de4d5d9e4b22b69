package authn

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// uncachedStore is the part of the store that does not concern the cache, for
// the admin API and the limiter. An Authority passes it on by embedding it. The
// methods on users and keys are listed one by one, so that a new one cannot bypass
// the cache: the Authority lacks it until somebody decides whether it belongs here
// or into invalidate.go.
type uncachedStore interface {
	identity.SessionStore
	identity.TallyStore

	CreateUser(ctx context.Context, u identity.User) error
	CreateFirstUser(ctx context.Context, u identity.User) (bool, error)
	User(ctx context.Context, id string) (identity.User, error)
	UserByEmail(ctx context.Context, email string) (identity.User, error)
	Users(ctx context.Context) ([]identity.User, error)
	SetPassword(ctx context.Context, userID, passwordHash string) error   // no key depends on it
	SetRole(ctx context.Context, userID string, role identity.Role) error // likewise

	CreateInvite(ctx context.Context, i identity.Invite) error
	Invites(ctx context.Context) ([]identity.Invite, error)
	InviteByDigest(ctx context.Context, d identity.Digest) (identity.Invite, error)
	WithdrawInvite(ctx context.Context, id string) error
	AcceptInvite(ctx context.Context, d identity.Digest, u identity.User) (identity.User, error)

	Receipt(ctx context.Context, userID string, id identity.Digest, now time.Time) (identity.Receipt, error)
	Key(ctx context.Context, id string) (identity.Key, error)
	KeyByDigest(ctx context.Context, d identity.Digest) (identity.Key, identity.User, error)
	Keys(ctx context.Context, userID string) ([]identity.Key, error)

	Audit(ctx context.Context, e identity.AuditEntry) error
	AuditLog(ctx context.Context, q identity.AuditQuery) ([]identity.AuditEntry, error)
}

var _ identity.UserStore = (*Authority)(nil)
