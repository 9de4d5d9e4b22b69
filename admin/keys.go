package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// Bounds of a key's fields and of its rotation.
const (
	maxExpiresDays      = 3650 // of expires_days; a key without an expiry lives longer
	maxTextLength       = 1000 // characters of a note or a reason
	defaultOverlapHours = 24
	maxOverlapHours     = 720
)

// createdKey is a new key. Only this reply and that of a rotation have the key
// itself.
type createdKey struct {
	ID        string      `json:"key_id"`
	Name      string      `json:"key_name"`
	Key       string      `json:"api_key"`
	Prefix    string      `json:"key_prefix"`
	CreatedAt time.Time   `json:"created_at"`
	ExpiresAt *time.Time  `json:"expires_at"`
	Note      string      `json:"note"`
	Scopes    []string    `json:"scopes"`
	Limits    shownLimits `json:"limits"`
}

// rotatedKey is the new key of a rotation, and the old one with its new expiry.
type rotatedKey struct {
	createdKey
	Old listedKey `json:"old_key"`
}

func created(k identity.Key, key string) createdKey {
	return createdKey{
		k.ID, k.Name, key, k.Prefix, k.CreatedAt, optionalTime(k.ExpiresAt), k.Note, notNull(k.Scopes), showLimits(k.Limits),
	}
}

func (a *API) createKey(ctx context.Context, r request) (int, any, error) {
	once, kept, err := a.idempotency(ctx, r)
	if kept != nil || err != nil {
		return http.StatusCreated, kept, err
	}
	if _, err := r.body.text("key_name"); err != nil {
		return 0, nil, err
	}
	c, err := r.body.keyChange(time.Now())
	if err != nil {
		return 0, nil, err
	}
	k, key, err := a.keyFormat.Issue(r.caller.ID, identity.KeySpec{Name: *c.Name})
	if err != nil {
		return 0, nil, err
	}
	c.Apply(&k)
	answer := created(k, key)
	if once != nil {
		return a.createKeyOnce(ctx, r, once, k, answer)
	}
	if err := a.store.CreateKey(ctx, k); err != nil {
		return 0, nil, storeFault(err)
	}
	return http.StatusCreated, answer, nil
}

func (a *API) updateKey(ctx context.Context, r request) (int, any, error) {
	id, missing, err := r.body.id("key_id", "key")
	if err != nil {
		return 0, nil, err
	}
	c, err := r.body.keyChange(time.Now())
	if err != nil {
		return 0, nil, err
	}
	if c == (identity.KeyChange{}) {
		return 0, nil, invalid("there is nothing to change: give key_name, %s", list(keyFields))
	}
	k, err := a.store.UpdateKey(ctx, r.owner(), id, c)
	return answerKey(k, err, missing)
}

func (a *API) revokeKey(ctx context.Context, r request) (int, any, error) {
	id, missing, err := r.body.id("key_id", "key")
	if err != nil {
		return 0, nil, err
	}
	reason, _, err := r.body.optionalText("reason", maxTextLength)
	if err != nil {
		return 0, nil, err
	}
	k, err := a.store.RevokeKey(ctx, r.owner(), id, time.Now(), reason)
	return answerKey(k, err, missing)
}

func (a *API) rotateKey(ctx context.Context, r request) (int, any, error) {
	id, missing, err := r.body.id("key_id", "key")
	if err != nil {
		return 0, nil, err
	}
	hours, err := r.body.wholeNumberFrom(0, "overlap_hours", defaultOverlapHours, maxOverlapHours)
	if err != nil {
		return 0, nil, err
	}
	old, err := a.store.Key(ctx, id)
	if err != nil {
		return answerKey(old, err, missing)
	}
	fresh, key := a.keyFormat.Replacement(old) // RotateKey checks whose key it is
	old, fresh, err = a.store.RotateKey(ctx, r.owner(), id, fresh, fresh.CreatedAt.Add(time.Duration(hours)*time.Hour))
	if err != nil {
		return answerKey(old, err, missing)
	}
	return http.StatusCreated, rotatedKey{created(fresh, key), listed(old)}, nil
}

// owner returns the user whose keys the caller may change, or "" for an admin, who
// may change everyone's.
func (r request) owner() string {
	if r.caller.Role == identity.Admin {
		return ""
	}
	return r.caller.ID
}

// answerKey returns the reply to a change of one key.
func answerKey(k identity.Key, err error, missing *problem) (int, any, error) {
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return 0, nil, missing
	case errors.Is(err, identity.ErrNotActive):
		return 0, nil, conflict("key_not_active", err)
	case err != nil:
		return 0, nil, storeFault(err)
	}
	return http.StatusOK, listed(k), nil
}

// keyFields has the names of a key's fields that can be set, except key_name.
var keyFields = []string{"note", "scopes", "limits", "expires_days", "expires_at"}

// keyChange reads the fields of a key that are given.
func (o object) keyChange(now time.Time) (c identity.KeyChange, err error) {
	check := func(name string, c identity.KeyChange) error { return invalidField(name, c.Check(now)) }
	if _, given := o["key_name"]; given {
		name, err := o.text("key_name")
		if err != nil {
			return c, err
		}
		c.Name = &name
		if err := check("key_name", identity.KeyChange{Name: c.Name}); err != nil {
			return c, err
		}
	}
	if note, given, err := o.optionalText("note", maxTextLength); err != nil {
		return c, err
	} else if given {
		c.Note = &note
		if err := check("note", identity.KeyChange{Note: c.Note}); err != nil {
			return c, err
		}
	}
	if scopes, given, err := o.texts("scopes"); err != nil {
		return c, err
	} else if given {
		c.Scopes = &scopes
		if err := check("scopes", identity.KeyChange{Scopes: c.Scopes}); err != nil {
			return c, err
		}
	}
	if limits, given, err := o.limits(); err != nil {
		return c, err
	} else if given {
		c.Limits = &limits
	}
	c.ExpiresAt, err = o.expiry(now)
	return c, err
}

// expiry reads when a key expires: the zero time for never, nil if neither
// expires_days nor expires_at is given.
func (o object) expiry(now time.Time) (*time.Time, error) {
	days, err := o.wholeNumber("expires_days", maxExpiresDays)
	if err != nil {
		return nil, err
	}
	at, byTime, err := o.moment("expires_at")
	if err != nil {
		return nil, err
	}
	_, byDays := o["expires_days"]
	switch {
	case byDays && byTime:
		return nil, invalid("expires_days and expires_at are both given: leave one of them out")
	case !byDays && !byTime:
		return nil, nil
	case days > 0:
		at = now.AddDate(0, 0, days)
	}
	c := identity.KeyChange{ExpiresAt: &at}
	return c.ExpiresAt, invalidField("expires_at", c.Check(now))
}
