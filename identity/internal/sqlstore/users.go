package sqlstore

import (
	"context"

	"github.com/tallygate/tallygate/identity"
)

// CreateUser implements identity.Store.
func (s *Store) CreateUser(ctx context.Context, u identity.User) error {
	return s.change(ctx, func(t tx) error { return t.createUser(u) })
}

func (t tx) createUser(u identity.User) error {
	created, err := t.exec(insertUser+` ON CONFLICT (email) DO NOTHING`, userFields(&u)...)
	if err == nil && !created {
		err = identity.ErrEmailTaken
	}
	if err != nil {
		return err
	}
	return t.audit(aboutUser(identity.UserCreated, u, "role", string(u.Role)))
}

// CreateFirstUser implements identity.Store.
func (s *Store) CreateFirstUser(ctx context.Context, u identity.User) (created bool, err error) {
	err = s.change(ctx, func(t tx) error {
		if err := t.lock("users"); err != nil {
			return err
		}
		var users int64
		if err := t.row([]any{&users}, `SELECT count(*) FROM users`); err != nil {
			return err
		}
		if created = users == 0; !created {
			return nil
		}
		return t.createUser(u)
	})
	return created && err == nil, err
}

// User implements identity.Store.
func (s *Store) User(ctx context.Context, id string) (u identity.User, err error) {
	err = s.row(ctx, userFields(&u), `SELECT `+userColumns+` FROM users WHERE id = $1`, id)
	return u, err
}

// UserByEmail implements identity.Store.
func (s *Store) UserByEmail(ctx context.Context, email string) (u identity.User, err error) {
	err = s.row(ctx, userFields(&u), `SELECT `+userColumns+` FROM users WHERE email = $1`, email)
	return u, err
}

// Users implements identity.Store.
func (s *Store) Users(ctx context.Context) ([]identity.User, error) {
	return listAll(ctx, s, userFields, `SELECT `+userColumns+` FROM users ORDER BY created_at, id`)
}

// SetPassword implements identity.Store.
func (s *Store) SetPassword(ctx context.Context, userID, passwordHash string) error {
	return s.updateUser(ctx, userID, func(_ tx, u *identity.User) (identity.AuditEntry, error) {
		u.PasswordHash = passwordHash
		u.TokenEpoch++
		return aboutUser(identity.PasswordSet, *u), nil
	})
}

// SetDisabled implements identity.Store.
func (s *Store) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	return s.updateUser(ctx, userID, func(t tx, u *identity.User) (identity.AuditEntry, error) {
		if u.Disabled == disabled {
			return identity.AuditEntry{}, nil
		}
		if u.Disabled = disabled; !disabled {
			return aboutUser(identity.UserEnabled, *u), nil
		}
		u.TokenEpoch++
		if err := t.withdrawInvitesOf(u.ID); err != nil {
			return identity.AuditEntry{}, err
		}
		return aboutUser(identity.UserDisabled, *u), t.notLastAdmin(u)
	})
}

// SetRole implements identity.Store.
func (s *Store) SetRole(ctx context.Context, userID string, role identity.Role) error {
	return s.updateUser(ctx, userID, func(t tx, u *identity.User) (identity.AuditEntry, error) {
		if u.Role == role {
			return identity.AuditEntry{}, nil
		}
		entry := aboutUser(identity.RoleSet, *u, "from", string(u.Role), "to", string(role))
		u.Role = role
		if role == identity.Admin {
			return entry, nil
		}
		if err := t.withdrawInvitesOf(u.ID); err != nil {
			return entry, err
		}
		return entry, t.notLastAdmin(u)
	})
}

// SetUserLimits implements identity.Store.
func (s *Store) SetUserLimits(ctx context.Context, userID string, l identity.Limits) error {
	return s.updateUser(ctx, userID, func(_ tx, u *identity.User) (identity.AuditEntry, error) {
		if u.Limits == l {
			return identity.AuditEntry{}, nil
		}
		u.Limits = l
		return aboutUser(identity.UserLimitsSet, *u, "limits", limitsText(l)), nil
	})
}

// EndSessions implements identity.Store.
func (s *Store) EndSessions(ctx context.Context, userID string) error {
	return s.updateUser(ctx, userID, func(_ tx, u *identity.User) (identity.AuditEntry, error) {
		u.TokenEpoch++
		return aboutUser(identity.SessionsEnded, *u), nil
	})
}

// updateUser changes a user. change returns an entry without an action when there
// is nothing to change.
func (s *Store) updateUser(ctx context.Context, id string, change func(tx, *identity.User) (identity.AuditEntry, error)) error {
	return s.change(ctx, func(t tx) error {
		if err := t.lock("users"); err != nil {
			return err
		}
		var u identity.User
		if err := t.row(userFields(&u), `SELECT `+userColumns+` FROM users WHERE id = $1`, id); err != nil {
			return err
		}
		entry, err := change(t, &u)
		if err != nil || entry.Action == "" {
			return err
		}
		if _, err := t.exec(`UPDATE users SET password_hash = $2, role = $3, disabled = $4, limits = $5, token_epoch = $6 WHERE id = $1`,
			u.ID, u.PasswordHash, string(u.Role), u.Disabled, asJSON{&u.Limits}, u.TokenEpoch); err != nil {
			return err
		}
		return t.audit(entry)
	})
}

// notLastAdmin returns ErrLastAdmin when a user, as stored, is the only admin who
// can log in.
func (t tx) notLastAdmin(u *identity.User) error {
	var isOne, others int64
	err := t.row([]any{&isOne, &others}, `SELECT count(CASE WHEN id = $1 THEN 1 END), count(CASE WHEN id <> $1 THEN 1 END)
		FROM users WHERE role = 'admin' AND NOT disabled`, u.ID)
	if err == nil && isOne > 0 && others == 0 {
		err = identity.ErrLastAdmin
	}
	return err
}
