package authn

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// The part of the store that does not concern the cache, for the admin API and
// the limiter. Every method is written out, so that a new method of
// identity.Store cannot bypass the cache: it is not here until somebody decides
// whether it belongs here or into invalidate.go.

// CreateUser is Store.CreateUser.
func (a *Authority) CreateUser(ctx context.Context, u identity.User) error {
	return a.store.CreateUser(ctx, u)
}

// CreateFirstUser is Store.CreateFirstUser.
func (a *Authority) CreateFirstUser(ctx context.Context, u identity.User) (bool, error) {
	return a.store.CreateFirstUser(ctx, u)
}

// User is Store.User.
func (a *Authority) User(ctx context.Context, id string) (identity.User, error) {
	return a.store.User(ctx, id)
}

// UserByEmail is Store.UserByEmail.
func (a *Authority) UserByEmail(ctx context.Context, email string) (identity.User, error) {
	return a.store.UserByEmail(ctx, email)
}

// Users is Store.Users.
func (a *Authority) Users(ctx context.Context) ([]identity.User, error) { return a.store.Users(ctx) }

// SetPassword is Store.SetPassword. It ends sessions, and no key depends on it.
func (a *Authority) SetPassword(ctx context.Context, userID, passwordHash string) error {
	return a.store.SetPassword(ctx, userID, passwordHash)
}

// SetRole is Store.SetRole. No key depends on its user's role.
func (a *Authority) SetRole(ctx context.Context, userID string, role identity.Role) error {
	return a.store.SetRole(ctx, userID, role)
}

// CreateInvite is Store.CreateInvite.
func (a *Authority) CreateInvite(ctx context.Context, i identity.Invite) error {
	return a.store.CreateInvite(ctx, i)
}

// Invites is Store.Invites.
func (a *Authority) Invites(ctx context.Context) ([]identity.Invite, error) {
	return a.store.Invites(ctx)
}

// InviteByDigest is Store.InviteByDigest.
func (a *Authority) InviteByDigest(ctx context.Context, d identity.Digest) (identity.Invite, error) {
	return a.store.InviteByDigest(ctx, d)
}

// WithdrawInvite is Store.WithdrawInvite.
func (a *Authority) WithdrawInvite(ctx context.Context, id string) error {
	return a.store.WithdrawInvite(ctx, id)
}

// AcceptInvite is Store.AcceptInvite.
func (a *Authority) AcceptInvite(ctx context.Context, d identity.Digest, u identity.User) (identity.User, error) {
	return a.store.AcceptInvite(ctx, d, u)
}

// Receipt is Store.Receipt.
func (a *Authority) Receipt(ctx context.Context, userID string, id identity.Digest, now time.Time) (identity.Receipt, error) {
	return a.store.Receipt(ctx, userID, id, now)
}

// Key is Store.Key.
func (a *Authority) Key(ctx context.Context, id string) (identity.Key, error) {
	return a.store.Key(ctx, id)
}

// Keys is Store.Keys.
func (a *Authority) Keys(ctx context.Context, userID string) ([]identity.Key, error) {
	return a.store.Keys(ctx, userID)
}

// Session is Store.Session.
func (a *Authority) Session(ctx context.Context, userID, tokenID string, epoch int64) (identity.User, error) {
	return a.store.Session(ctx, userID, tokenID, epoch)
}

// RevokeToken is Store.RevokeToken.
func (a *Authority) RevokeToken(ctx context.Context, userID, tokenID string, expiresAt time.Time) error {
	return a.store.RevokeToken(ctx, userID, tokenID, expiresAt)
}

// EndSessions is Store.EndSessions.
func (a *Authority) EndSessions(ctx context.Context, userID string) error {
	return a.store.EndSessions(ctx, userID)
}

// SigningKeys is Store.SigningKeys.
func (a *Authority) SigningKeys(ctx context.Context) ([]identity.SigningKey, error) {
	return a.store.SigningKeys(ctx)
}

// AddSigningKey is Store.AddSigningKey.
func (a *Authority) AddSigningKey(ctx context.Context, k identity.SigningKey, newest time.Time) (bool, error) {
	return a.store.AddSigningKey(ctx, k, newest)
}

// RetireSigningKeys is Store.RetireSigningKeys.
func (a *Authority) RetireSigningKeys(ctx context.Context, before time.Time) error {
	return a.store.RetireSigningKeys(ctx, before)
}

// Audit is Store.Audit.
func (a *Authority) Audit(ctx context.Context, e identity.AuditEntry) error {
	return a.store.Audit(ctx, e)
}

// AuditLog is Store.AuditLog.
func (a *Authority) AuditLog(ctx context.Context, q identity.AuditQuery) ([]identity.AuditEntry, error) {
	return a.store.AuditLog(ctx, q)
}

// UpdateTallies is Store.UpdateTallies.
func (a *Authority) UpdateTallies(ctx context.Context, keyIDs []string, update func(now time.Time, tallies []identity.Tally)) error {
	return a.store.UpdateTallies(ctx, keyIDs, update)
}

var (
	_ identity.UserStore    = (*Authority)(nil)
	_ identity.SessionStore = (*Authority)(nil)
	_ identity.TallyStore   = (*Authority)(nil)
)
