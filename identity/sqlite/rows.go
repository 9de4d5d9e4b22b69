package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// The columns of users and keys, and in their order the fields that a row is
// written from and scanned into.
const (
	userColumns = `id, email, password_hash, role, disabled, created_at`
	keyColumns  = `id, user_id, name, prefix, digest, created_at, expires_at, revoked_at`
)

func userValues(u identity.User) []any {
	return []any{u.ID, u.Email, u.PasswordHash, u.Role, u.Disabled, micros{&u.CreatedAt}}
}

func userFields(u *identity.User) []any {
	return []any{&u.ID, &u.Email, &u.PasswordHash, &u.Role, &u.Disabled, micros{&u.CreatedAt}}
}

func keyFields(k *identity.Key) []any {
	return []any{&k.ID, &k.UserID, &k.Name, &k.Prefix, digest{&k.Digest},
		micros{&k.CreatedAt}, micros{&k.ExpiresAt}, micros{&k.RevokedAt}}
}

// of qualifies columns by their table.
func of(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// list runs a query and scans each of its rows into the fields of a T.
func list[T any](ctx context.Context, s *Store, fields func(*T) []any, query string, args ...any) ([]T, error) {
	db, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.fault(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err has said what there is to say
	var items []T
	for rows.Next() {
		var item T
		if err := rows.Scan(fields(&item)...); err != nil {
			return nil, s.fault(err)
		}
		items = append(items, item)
	}
	return items, s.fault(rows.Err())
}

// micros is a time as a column keeps it: microseconds since 1970-01-01 UTC,
// null for the zero time.
type micros struct{ t *time.Time }

func (m micros) Value() (driver.Value, error) {
	if m.t.IsZero() {
		return nil, nil
	}
	return m.t.UnixMicro(), nil
}

func (m micros) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*m.t = time.Time{}
	case int64:
		*m.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time is stored as %T, not as an integer", src)
	}
	return nil
}

// digest is a Digest as a column keeps it.
type digest struct{ d *identity.Digest }

func (d digest) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(d.d) {
		return fmt.Errorf("a key's digest is not stored as %d bytes", len(d.d))
	}
	copy(d.d[:], b)
	return nil
}

var (
	_ driver.Valuer = micros{}
	_ sql.Scanner   = micros{}
	_ sql.Scanner   = digest{}
)
