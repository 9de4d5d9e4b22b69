package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// The columns of the tables. The functions below return the fields of a row in the
// same order.
const (
	userColumns       = `id, email, password_hash, role, disabled, limits, token_epoch, created_at`
	keyColumns        = `id, user_id, name, note, prefix, digest, scopes, limits, created_at, expires_at, revoked_at, revoke_reason, last_used_at, replaces`
	inviteColumns     = `id, email, role, limits, digest, created_at, expires_at, accepted_at`
	receiptColumns    = `user_id, id, request, answer, expires_at`
	signingKeyColumns = `id, secret, created_at, expires_at`
	auditColumns      = `id, at, action, actor_id, actor_email, ip, user_id, target_id, target, details`
)

// A key is read together with the ID of the key that replaced it.
var (
	keySelect = of("keys", keyColumns) + `, (SELECT id FROM keys AS newer WHERE newer.replaces = keys.id)`

	insertUser       = insert("users", userColumns)
	insertKey        = insert("keys", keyColumns)
	insertInvite     = insert("invites", inviteColumns)
	insertReceipt    = insert("receipts", receiptColumns)
	insertSigningKey = insert("signing_keys", signingKeyColumns)
	insertAudit      = insert("audit", auditColumns)
)

func placeholder(n int) string { return "$" + strconv.Itoa(n) }

func insert(table, columns string) string {
	var values []string
	for i := range strings.Split(columns, ", ") {
		values = append(values, placeholder(i+1))
	}
	return `INSERT INTO ` + table + ` (` + columns + `) VALUES (` + strings.Join(values, ", ") + `)`
}

// of qualifies columns with their table.
func of(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// A row is written from the same fields that it is scanned into: database/sql and
// pgx follow the pointers.

func userFields(u *identity.User) []any {
	return []any{&u.ID, &u.Email, &u.PasswordHash, &u.Role, &u.Disabled, asJSON{&u.Limits}, &u.TokenEpoch, micros{&u.CreatedAt}}
}

func keyFields(k *identity.Key) []any {
	return []any{&k.ID, &k.UserID, &k.Name, &k.Note, &k.Prefix, digest{&k.Digest}, asJSON{&k.Scopes}, asJSON{&k.Limits},
		micros{&k.CreatedAt}, micros{&k.ExpiresAt}, micros{&k.RevokedAt}, &k.RevokeReason, micros{&k.LastUsedAt}, nullable{&k.Replaces}}
}

func keyFieldsRead(k *identity.Key) []any {
	return append(keyFields(k), nullable{&k.ReplacedBy})
}

func inviteFields(i *identity.Invite) []any {
	return []any{&i.ID, &i.Email, &i.Role, asJSON{&i.Limits}, digest{&i.Digest},
		micros{&i.CreatedAt}, micros{&i.ExpiresAt}, micros{&i.AcceptedAt}}
}

func receiptFields(r *identity.Receipt) []any {
	return []any{&r.UserID, digest{&r.ID}, digest{&r.Request}, &r.Answer, micros{&r.ExpiresAt}}
}

func signingKeyFields(k *identity.SigningKey) []any {
	return []any{&k.ID, &k.Secret, micros{&k.CreatedAt}, micros{&k.ExpiresAt}}
}

func auditFields(e *identity.AuditEntry) []any {
	return []any{&e.ID, micros{&e.At}, &e.Action, &e.ActorID, &e.ActorEmail, &e.IP, &e.UserID, &e.TargetID, &e.Target, asJSON{&e.Details}}
}

// micros stores a time as microseconds since 1970-01-01 UTC, and the zero time as
// null.
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

// digest stores a Digest as bytes.
type digest struct{ d *identity.Digest }

func (d digest) Value() (driver.Value, error) { return d.d[:], nil }

func (d digest) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(d.d) {
		return fmt.Errorf("a digest is not stored as %d bytes", len(d.d))
	}
	copy(d.d[:], b)
	return nil
}

// nullable stores a string, and the empty one as null.
type nullable struct{ s *string }

func (n nullable) Value() (driver.Value, error) {
	if *n.s == "" {
		return nil, nil
	}
	return *n.s, nil
}

func (n nullable) Scan(src any) error {
	var s sql.NullString
	err := s.Scan(src)
	*n.s = s.String
	return err
}

// asJSON stores a value as JSON in text.
type asJSON struct{ v any }

func (j asJSON) Value() (driver.Value, error) {
	b, err := json.Marshal(j.v)
	return string(b), err
}

func (j asJSON) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("JSON is stored as %T, not as text", src)
	}
	return json.Unmarshal([]byte(s), j.v)
}

var (
	_ driver.Valuer = micros{}
	_ sql.Scanner   = micros{}
	_ driver.Valuer = digest{}
	_ sql.Scanner   = digest{}
	_ driver.Valuer = nullable{}
	_ sql.Scanner   = nullable{}
	_ driver.Valuer = asJSON{}
	_ sql.Scanner   = asJSON{}
)
