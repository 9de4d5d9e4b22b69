package sqlstore

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// CreateKey implements identity.Store.
func (s *Store) CreateKey(ctx context.Context, k identity.Key) error {
	return s.change(ctx, func(t tx) error { return t.createKey(k) })
}

func (t tx) createKey(k identity.Key) error {
	var id string
	if err := t.row([]any{&id}, `SELECT id FROM users WHERE id = $1`, k.UserID); err != nil {
		return err
	}
	if _, err := t.exec(insertKey, keyFields(&k)...); err != nil {
		return err
	}
	return t.audit(aboutKey(identity.KeyCreated, k))
}

// CreateKeyOnce implements identity.Store.
func (s *Store) CreateKeyOnce(ctx context.Context, k identity.Key, r identity.Receipt) error {
	return s.change(ctx, func(t tx) error {
		if _, err := t.exec(`DELETE FROM receipts WHERE expires_at <= $1`, micros{&k.CreatedAt}); err != nil {
			return err
		}
		kept, err := t.exec(insertReceipt+` ON CONFLICT (user_id, id) DO NOTHING`, receiptFields(&r)...)
		if err == nil && !kept {
			err = identity.ErrReceiptTaken
		}
		if err != nil {
			return err
		}
		return t.createKey(k)
	})
}

// Receipt implements identity.Store.
func (s *Store) Receipt(ctx context.Context, userID string, id identity.Digest, now time.Time) (r identity.Receipt, err error) {
	err = s.row(ctx, receiptFields(&r), `SELECT `+receiptColumns+` FROM receipts WHERE user_id = $1 AND id = $2 AND expires_at > $3`,
		userID, id[:], micros{&now})
	return r, err
}

// Key implements identity.Store.
func (s *Store) Key(ctx context.Context, id string) (k identity.Key, err error) {
	err = s.row(ctx, keyFieldsRead(&k), `SELECT `+keySelect+` FROM keys WHERE id = $1`, id)
	return k, err
}

var selectKeyByDigest = `SELECT ` + keySelect + `, ` + of("users", userColumns) + `
	FROM keys JOIN users ON users.id = keys.user_id WHERE keys.digest = $1`

// KeyByDigest implements identity.Store.
func (s *Store) KeyByDigest(ctx context.Context, d identity.Digest) (k identity.Key, u identity.User, err error) {
	err = s.row(ctx, append(keyFieldsRead(&k), userFields(&u)...), selectKeyByDigest, d[:])
	return k, u, err
}

// Keys implements identity.Store.
func (s *Store) Keys(ctx context.Context, userID string) ([]identity.Key, error) {
	const newestFirst = ` ORDER BY keys.created_at DESC, keys.id DESC`
	if userID == "" {
		return listAll(ctx, s, keyFieldsRead, `SELECT `+keySelect+` FROM keys`+newestFirst)
	}
	return listAll(ctx, s, keyFieldsRead, `SELECT `+keySelect+` FROM keys WHERE user_id = $1`+newestFirst, userID)
}

// UpdateKey implements identity.Store.
func (s *Store) UpdateKey(ctx context.Context, userID, keyID string, c identity.KeyChange) (identity.Key, error) {
	return s.updateKey(ctx, userID, keyID, func(_ tx, k *identity.Key) (identity.AuditEntry, error) {
		before := *k
		changed := c.Apply(k)
		if len(changed) == 0 {
			return identity.AuditEntry{}, nil
		}
		details := []string{"changed", strings.Join(changed, " ")}
		if before.Name != k.Name {
			details = append(details, "former_name", before.Name)
		}
		return aboutKey(identity.KeyUpdated, *k, details...), nil
	})
}

// RevokeKey implements identity.Store.
func (s *Store) RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (identity.Key, error) {
	return s.updateKey(ctx, userID, keyID, func(_ tx, k *identity.Key) (identity.AuditEntry, error) {
		if !k.RevokedAt.IsZero() {
			return identity.AuditEntry{}, nil
		}
		k.RevokedAt, k.RevokeReason = stored(at), reason
		return aboutKey(identity.KeyRevoked, *k, "reason", reason), nil
	})
}

// RotateKey implements identity.Store.
func (s *Store) RotateKey(ctx context.Context, userID, keyID string, fresh identity.Key, until time.Time) (old, replacement identity.Key, err error) {
	old, err = s.updateKey(ctx, userID, keyID, func(t tx, k *identity.Key) (identity.AuditEntry, error) {
		if k.Status(fresh.CreatedAt) != identity.Active {
			return identity.AuditEntry{}, identity.ErrNotActive
		}
		if until = stored(until); k.ExpiresAt.IsZero() || until.Before(k.ExpiresAt) {
			k.ExpiresAt = until
		}
		k.ReplacedBy = fresh.ID
		fresh.UserID, fresh.Name, fresh.Note, fresh.Scopes, fresh.Limits = k.UserID, k.Name, k.Note, k.Scopes, k.Limits
		fresh.Replaces = k.ID
		fresh.CreatedAt, fresh.ExpiresAt = stored(fresh.CreatedAt), stored(fresh.ExpiresAt)
		first, err := t.exec(insertKey+` ON CONFLICT (replaces) DO NOTHING`, keyFields(&fresh)...)
		if err == nil && !first {
			err = identity.ErrNotActive // it has been rotated already
		}
		if err != nil {
			return identity.AuditEntry{}, err
		}
		return aboutKey(identity.KeyRotated, *k, "replaced_by", fresh.ID, "until", k.ExpiresAt.Format(time.RFC3339)), nil
	})
	if err != nil {
		return identity.Key{}, identity.Key{}, err
	}
	return old, fresh, nil
}

// updateKey changes a key of a user, or anyone's for "". change returns an entry
// without an action when there is nothing to change.
func (s *Store) updateKey(ctx context.Context, userID, keyID string, change func(tx, *identity.Key) (identity.AuditEntry, error)) (k identity.Key, err error) {
	err = s.change(ctx, func(t tx) error {
		if err := t.row(keyFieldsRead(&k), `SELECT `+keySelect+` FROM keys WHERE id = $1 AND (user_id = $2 OR $2 = '')`+s.dialect.ForUpdate,
			keyID, userID); err != nil {
			return err
		}
		entry, err := change(t, &k)
		if err != nil || entry.Action == "" {
			return err
		}
		if _, err := t.exec(`UPDATE keys SET name = $2, note = $3, scopes = $4, limits = $5, expires_at = $6, revoked_at = $7, revoke_reason = $8 WHERE id = $1`,
			k.ID, k.Name, k.Note, asJSON{&k.Scopes}, asJSON{&k.Limits}, micros{&k.ExpiresAt}, micros{&k.RevokedAt}, k.RevokeReason); err != nil {
			return err
		}
		return t.audit(entry)
	})
	if err != nil {
		return identity.Key{}, err
	}
	return k, nil
}

// TouchKeys implements identity.Store.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	at := make(map[string]int64, len(used))
	for id, t := range used {
		at[id] = t.UnixMicro()
	}
	uses, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return s.change(ctx, func(t tx) error {
		// One transaction at a time: two that lock the same rows in a different order
		// would deadlock.
		if err := t.lock("touches"); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE keys SET last_used_at = CAST(used.value AS BIGINT) FROM `+s.dialect.JSONEach+` AS used
			WHERE keys.id = used.key AND (last_used_at IS NULL OR last_used_at < CAST(used.value AS BIGINT))`, string(uses))
		return err
	})
}

// stored returns a time as it will be read.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
