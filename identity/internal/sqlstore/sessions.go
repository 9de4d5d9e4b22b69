package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// Session implements identity.Store.
func (s *Store) Session(ctx context.Context, userID, tokenID string, epoch int64) (u identity.User, err error) {
	err = s.row(ctx, userFields(&u), `SELECT `+userColumns+` FROM users
		WHERE id = $1 AND NOT disabled AND token_epoch = $2
		AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE revoked_tokens.id = $3)`, userID, epoch, tokenID)
	return u, err
}

// RevokeToken implements identity.Store.
func (s *Store) RevokeToken(ctx context.Context, userID, tokenID string, expiresAt time.Time) error {
	return s.change(ctx, func(t tx) error {
		var u identity.User
		if err := t.row(userFields(&u), `SELECT `+userColumns+` FROM users WHERE id = $1`, userID); err != nil {
			return err
		}
		now := time.Now()
		if _, err := t.exec(`DELETE FROM revoked_tokens WHERE expires_at <= $1`, micros{&now}); err != nil {
			return err
		}
		revoked, err := t.exec(`INSERT INTO revoked_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, tokenID, micros{&expiresAt})
		if err != nil || !revoked {
			return err
		}
		return t.audit(aboutUser(identity.LoggedOut, u))
	})
}

// SigningKeys implements identity.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]identity.SigningKey, error) {
	return listAll(ctx, s, signingKeyFields, `SELECT `+signingKeyColumns+` FROM signing_keys ORDER BY created_at DESC, id DESC`)
}

// AddSigningKey implements identity.Store.
func (s *Store) AddSigningKey(ctx context.Context, k identity.SigningKey, newest time.Time) (added bool, err error) {
	err = s.change(ctx, func(t tx) error {
		if err := t.lock("signing_keys"); err != nil {
			return err
		}
		var newer int64
		if err := t.row([]any{&newer}, `SELECT count(*) FROM signing_keys WHERE created_at >= $1`, micros{&newest}); err != nil {
			return err
		}
		if added = newer == 0; !added {
			return nil
		}
		if _, err := t.exec(`DELETE FROM signing_keys WHERE expires_at <= $1`, micros{&k.CreatedAt}); err != nil {
			return err
		}
		if _, err := t.exec(insertSigningKey, signingKeyFields(&k)...); err != nil {
			return err
		}
		return t.audit(identity.AuditEntry{Action: identity.SigningKeyMade, TargetID: k.ID})
	})
	return added && err == nil, err
}

// RetireSigningKeys implements identity.Store.
func (s *Store) RetireSigningKeys(ctx context.Context, before time.Time) error {
	return s.change(ctx, func(t tx) error {
		retired, err := t.exec(`DELETE FROM signing_keys WHERE created_at < $1`, micros{&before})
		if err != nil || !retired {
			return err
		}
		return t.audit(identity.AuditEntry{Action: identity.SigningKeyDrop})
	})
}

// Secret implements identity.Store.
func (s *Store) Secret(ctx context.Context, name string, fresh []byte) ([]byte, error) {
	stored, err := s.secret(ctx, name)
	if !errors.Is(err, identity.ErrNotFound) {
		return stored, err
	}
	err = s.change(ctx, func(t tx) error {
		_, err := t.exec(`INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, fresh)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.secret(ctx, name) // another caller may have been faster
}

func (s *Store) secret(ctx context.Context, name string) (secret []byte, err error) {
	err = s.row(ctx, []any{&secret}, `SELECT value FROM secrets WHERE name = $1`, name)
	return secret, err
}
