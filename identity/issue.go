package identity

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/uuidv7"
)

const maxNoteChars = 1000

// KeySpec describes a key to be made.
type KeySpec struct {
	Name      string // 1 to 100 printable characters; spaces around them are dropped
	Note      string // at most 1000 characters
	Scopes    []string
	Limits    Limits
	ExpiresAt time.Time // in the future, or zero: never
}

// IssueKey makes a key of DefaultMark with a name and an expiry: see Issue.
func IssueKey(userID, name string, expiresAt time.Time) (record Key, key string, err error) {
	return KeyFormat{}.Issue(userID, KeySpec{Name: name, ExpiresAt: expiresAt})
}

// Issue makes a key for a user and its record, ready for Store.CreateKey. The
// key itself is not kept anywhere: show it to the user, once. An error is an
// Invalid.
func (f KeyFormat) Issue(userID string, s KeySpec) (record Key, key string, err error) {
	c := KeyChange{Name: &s.Name, Note: &s.Note, Scopes: &s.Scopes, Limits: &s.Limits, ExpiresAt: &s.ExpiresAt}
	now := time.Now()
	if err := c.Check(now); err != nil {
		return Key{}, "", err
	}
	record, key = f.newRecord(userID, now)
	c.Apply(&record)
	return record, key, nil
}

func (f KeyFormat) newRecord(userID string, now time.Time) (record Key, key string) {
	key, digest, prefix := f.NewKey()
	return Key{
		ID: uuidv7.New(now).String(), UserID: userID, Prefix: prefix, Digest: digest, CreatedAt: storable(now),
	}, key
}

// Replacement makes a key that is to replace another, ready for Store.RotateKey,
// which copies the rest from the old key. Its lifetime is as long as that of the
// old key was.
func (f KeyFormat) Replacement(old Key) (record Key, key string) {
	record, key = f.newRecord(old.UserID, time.Now())
	if !old.ExpiresAt.IsZero() {
		record.ExpiresAt = record.CreatedAt.Add(old.ExpiresAt.Sub(old.CreatedAt))
	}
	return record, key
}

// Check validates a change, and brings it into the form that is stored. An error
// is an Invalid.
func (c *KeyChange) Check(now time.Time) error {
	if c.Name != nil {
		name, err := keyName(*c.Name)
		if err != nil {
			return err
		}
		*c.Name = name
	}
	if c.Note != nil {
		*c.Note = strings.TrimSpace(*c.Note)
		if utf8.RuneCountInString(*c.Note) > maxNoteChars {
			return Invalid(fmt.Sprintf("the key's note is longer than %d characters", maxNoteChars))
		}
		// A note may have more than one line.
		if !IsText(*c.Note) {
			return Invalid("the key's note has characters that cannot be printed")
		}
	}
	if c.Scopes != nil {
		if _, err := NewScope(*c.Scopes); err != nil {
			return err
		}
	}
	if c.Limits != nil {
		if err := c.Limits.Check(); err != nil {
			return err
		}
	}
	if c.ExpiresAt != nil {
		if !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(now) {
			return Invalid("a key must expire in the future, or never")
		}
		*c.ExpiresAt = storable(*c.ExpiresAt)
	}
	return nil
}

// Apply makes the change, and returns the names of the fields that it changed.
func (c *KeyChange) Apply(k *Key) (changed []string) {
	note := func(name string, differs bool) {
		if differs {
			changed = append(changed, name)
		}
	}
	if c.Name != nil {
		note("name", k.Name != *c.Name)
		k.Name = *c.Name
	}
	if c.Note != nil {
		note("note", k.Note != *c.Note)
		k.Note = *c.Note
	}
	if c.Scopes != nil {
		note("scopes", !slices.Equal(k.Scopes, *c.Scopes))
		k.Scopes = slices.Clone(*c.Scopes)
	}
	if c.Limits != nil {
		note("limits", k.Limits != *c.Limits)
		k.Limits = *c.Limits
	}
	if c.ExpiresAt != nil {
		note("expires_at", !k.ExpiresAt.Equal(*c.ExpiresAt))
		k.ExpiresAt = *c.ExpiresAt
	}
	return changed
}
