package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tallygate/tallygate/identity"
)

// CreateInvite implements identity.Store.
func (s *Store) CreateInvite(ctx context.Context, i identity.Invite) error {
	return s.change(ctx, func(t tx) error {
		// Neither a user nor another invitation may come in between.
		if err := t.lock("users"); err != nil {
			return err
		}
		var users int64
		if err := t.row([]any{&users}, `SELECT count(*) FROM users WHERE email = $1`, i.Email); err != nil {
			return err
		}
		if users > 0 {
			return identity.ErrEmailTaken
		}
		if _, err := t.exec(`DELETE FROM invites WHERE email = $1 AND accepted_at IS NULL`, i.Email); err != nil {
			return err
		}
		if _, err := t.exec(insertInvite, inviteFields(&i)...); err != nil {
			return err
		}
		return t.audit(aboutInvite(identity.UserInvited, i, "role", string(i.Role)))
	})
}

// Invites implements identity.Store.
func (s *Store) Invites(ctx context.Context) ([]identity.Invite, error) {
	return listAll(ctx, s, inviteFields, `SELECT `+inviteColumns+` FROM invites WHERE accepted_at IS NULL ORDER BY created_at DESC, id DESC`)
}

// InviteByDigest implements identity.Store.
func (s *Store) InviteByDigest(ctx context.Context, d identity.Digest) (i identity.Invite, err error) {
	err = s.row(ctx, inviteFields(&i), `SELECT `+inviteColumns+` FROM invites WHERE digest = $1`, d[:])
	return i, err
}

// WithdrawInvite implements identity.Store.
func (s *Store) WithdrawInvite(ctx context.Context, id string) error {
	return s.change(ctx, func(t tx) error {
		var i identity.Invite
		err := t.row(inviteFields(&i), `DELETE FROM invites WHERE id = $1 AND accepted_at IS NULL RETURNING `+inviteColumns, id)
		if err != nil {
			return err
		}
		return t.audit(aboutInvite(identity.InviteDropped, i))
	})
}

// withdrawInvitesOf withdraws the open invitations that a user has made, according to
// the audit log.
func (t tx) withdrawInvitesOf(userID string) error {
	for {
		var i identity.Invite
		err := t.row(inviteFields(&i), `DELETE FROM invites WHERE id = (
			SELECT id FROM invites WHERE accepted_at IS NULL AND id IN (
				SELECT target_id FROM audit WHERE actor_id = $1 AND action = 'user.invited') LIMIT 1)
			RETURNING `+inviteColumns, userID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = t.audit(aboutInvite(identity.InviteDropped, i))
		}
		if err != nil {
			return err
		}
	}
}

// AcceptInvite implements identity.Store.
func (s *Store) AcceptInvite(ctx context.Context, d identity.Digest, u identity.User) (identity.User, error) {
	err := s.change(ctx, func(t tx) error {
		var i identity.Invite
		if err := t.row(inviteFields(&i), `SELECT `+inviteColumns+` FROM invites WHERE digest = $1`+s.dialect.ForUpdate, d[:]); err != nil {
			return err
		}
		if !i.Open(u.CreatedAt) {
			return identity.ErrNotFound
		}
		u = identity.User{
			ID: u.ID, Email: i.Email, PasswordHash: u.PasswordHash, Role: i.Role, Limits: i.Limits, CreatedAt: stored(u.CreatedAt),
		}
		if err := t.createUser(u); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE invites SET accepted_at = $2 WHERE id = $1`, i.ID, micros{&u.CreatedAt}); err != nil {
			return err
		}
		entry := aboutInvite(identity.InviteAccepted, i)
		entry.UserID = u.ID
		return t.audit(entry)
	})
	if err != nil {
		return identity.User{}, err
	}
	return u, nil
}

func aboutInvite(a identity.Action, i identity.Invite, details ...string) identity.AuditEntry {
	return identity.AuditEntry{Action: a, TargetID: i.ID, Target: i.Email, Details: pairs(details)}
}
