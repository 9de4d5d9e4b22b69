package admin

import (
	"context"
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
	ID        string            `json:"key_id"`
	Name      string            `json:"key_name"`
	Key       string            `json:"api_key"`
	Prefix    string            `json:"key_prefix"`
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt *time.Time        `json:"expires_at"`
	Note      string            `json:"note"`
	Scopes    []string          `json:"scopes"`
	Limits    map[string]*int64 `json:"limits"`
}

// rotatedKey is the new key of a rotation, and the old one with its new expiry.
type rotatedKey struct {
	createdKey
	Old listedKey `json:"old_key"`
}

func created(k identity.Key, key string) createdKey {
	return createdKey{
		k.ID, k.Name, key, k.Prefix, k.CreatedAt, orNull(k.ExpiresAt), k.Note, notNull(k.Scopes), showLimits(k.Limits),
	}
}

func (a *API) createKey(ctx context.Context, r *request) (any, error) {
	once, kept, err := a.idempotency(ctx, r)
	if kept != nil || err != nil {
		return kept, err
	}
	r.body.text("key_name") // it must be there
	c := r.body.keyChange(time.Now())
	if r.body.err != nil {
		return nil, r.body.err
	}
	k, key, err := a.keyFormat.Issue(r.caller.ID, identity.KeySpec{Name: *c.Name})
	if err != nil {
		return nil, err
	}
	c.Apply(&k)
	answer := created(k, key)
	if once != nil {
		return a.createKeyOnce(ctx, r, once, k, answer)
	}
	return answer, storeProblem(a.store.CreateKey(ctx, k), nil)
}

// keyID returns the field key_id, which may also be the key itself, and the error
// to return if there is no such key.
func (a *API) keyID(ctx context.Context, r *request) (id string, missing *problem) {
	if sent := r.body.text("key_id"); identity.WellFormed(sent) {
		k, _, err := a.store.KeyByDigest(ctx, identity.DigestOf(sent))
		missing = notFound("there is no key with the key_id %s", quote(sent))
		r.body.fail(storeProblem(err, missing))
		return k.ID, missing
	}
	return r.body.id("key_id", "key")
}

func (a *API) updateKey(ctx context.Context, r *request) (any, error) {
	id, missing := a.keyID(ctx, r)
	c := r.body.keyChange(time.Now())
	if r.body.err == nil && c == (identity.KeyChange{}) {
		r.body.fail(invalid("there is nothing to change: give key_name, %s", list(keyFields)))
	}
	if r.body.err != nil {
		return nil, r.body.err
	}
	k, err := a.store.UpdateKey(ctx, r.owner(), id, c)
	return listed(k), storeProblem(err, missing)
}

func (a *API) revokeKey(ctx context.Context, r *request) (any, error) {
	id, missing := a.keyID(ctx, r)
	reason := r.body.optionalText("reason", maxTextLength)
	if r.body.err != nil {
		return nil, r.body.err
	}
	k, err := a.store.RevokeKey(ctx, r.owner(), id, time.Now(), reason)
	return listed(k), storeProblem(err, missing)
}

func (a *API) rotateKey(ctx context.Context, r *request) (any, error) {
	id, missing := a.keyID(ctx, r)
	hours := r.body.wholeNumber("overlap_hours", defaultOverlapHours, 0, maxOverlapHours)
	if r.body.err != nil {
		return nil, r.body.err
	}
	old, err := a.store.Key(ctx, id)
	if err != nil {
		return nil, storeProblem(err, missing)
	}
	fresh, key := a.keyFormat.Replacement(old) // RotateKey checks whose key it is
	old, fresh, err = a.store.RotateKey(ctx, r.owner(), id, fresh, fresh.CreatedAt.Add(time.Duration(hours)*time.Hour))
	return rotatedKey{created(fresh, key), listed(old)}, storeProblem(err, missing)
}

// owner returns the user whose keys the caller may change, or "" for an admin, who
// may change everyone's.
func (r *request) owner() string {
	if r.caller.Role == identity.Admin {
		return ""
	}
	return r.caller.ID
}

// keyFields has the names of a key's fields that can be set, except key_name.
var keyFields = []string{"note", "scopes", "limits", "expires_days", "expires_at"}

// keyChange reads the fields of a key that are given.
func (b *bodyFields) keyChange(now time.Time) (c identity.KeyChange) {
	check := func(name string, part identity.KeyChange) { b.fail(invalidField(name, part.Check(now))) }
	if b.givenValue("key_name") {
		c.Name = new(b.text("key_name"))
		check("key_name", identity.KeyChange{Name: c.Name})
	}
	if b.given("note") {
		c.Note = new(b.optionalText("note", maxTextLength))
		check("note", identity.KeyChange{Note: c.Note})
	}
	if b.given("scopes") {
		c.Scopes = new(b.texts("scopes"))
		check("scopes", identity.KeyChange{Scopes: c.Scopes})
	}
	if b.given("limits") {
		c.Limits = new(b.limits())
	}
	c.ExpiresAt = b.expiry(now)
	check("expires_at", identity.KeyChange{ExpiresAt: c.ExpiresAt})
	return c
}

// expiry reads when a key expires: the zero time for never, nil if neither
// expires_days nor expires_at is given.
func (b *bodyFields) expiry(now time.Time) *time.Time {
	days, at := b.wholeNumber("expires_days", 0, 1, maxExpiresDays), b.moment("expires_at")
	switch {
	case b.givenValue("expires_days") && b.givenValue("expires_at"):
		b.fail(invalid("expires_days and expires_at are both given: leave one of them out"))
		return nil
	case !b.given("expires_days") && !b.given("expires_at"):
		return nil
	case days > 0:
		at = now.AddDate(0, 0, days)
	}
	return &at
}
