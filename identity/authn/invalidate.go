package authn

import (
	"context"
	"errors"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// The changes that decide whether keys are live. Each is made in the store and
// then takes effect in the cache, before the method returns.

// CreateKey is Store.CreateKey. The key works from the next call on.
func (a *Authority) CreateKey(ctx context.Context, k identity.Key) error {
	defer a.generation.Add(1)
	return a.store.CreateKey(ctx, k)
}

// CreateKeyOnce is Store.CreateKeyOnce. The key works from the next call on.
func (a *Authority) CreateKeyOnce(ctx context.Context, k identity.Key, r identity.Receipt) error {
	defer a.generation.Add(1)
	return a.store.CreateKeyOnce(ctx, k, r)
}

// UpdateKey is Store.UpdateKey. The change holds from the next call on.
func (a *Authority) UpdateKey(ctx context.Context, userID, keyID string, c identity.KeyChange) (identity.Key, error) {
	k, err := a.store.UpdateKey(ctx, userID, keyID, c)
	a.afterChange(err, false, subject{keyID: keyID, digest: k.Digest})
	return k, err
}

// RevokeKey is Store.RevokeKey. The key is refused from the next call on, and
// its watches end before RevokeKey returns.
func (a *Authority) RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (identity.Key, error) {
	k, err := a.store.RevokeKey(ctx, userID, keyID, at, reason)
	a.afterChange(err, true, subject{keyID: keyID, digest: k.Digest})
	return k, err
}

// RotateKey is Store.RotateKey. The new key works from the next call on.
func (a *Authority) RotateKey(ctx context.Context, userID, keyID string, fresh identity.Key, until time.Time) (old, replacement identity.Key, err error) {
	old, replacement, err = a.store.RotateKey(ctx, userID, keyID, fresh, until)
	a.afterChange(err, false, subject{keyID: keyID, digest: old.Digest})
	return old, replacement, err
}

// SetDisabled is Store.SetDisabled. The user's keys are refused, or accepted
// again, from the next call on. When they are refused, their watches end before
// SetDisabled returns.
func (a *Authority) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	err := a.store.SetDisabled(ctx, userID, disabled)
	a.afterChange(err, disabled, subject{userID: userID})
	return err
}

// SetUserLimits is Store.SetUserLimits. The limits hold from the next call on.
func (a *Authority) SetUserLimits(ctx context.Context, userID string, l identity.Limits) error {
	err := a.store.SetUserLimits(ctx, userID, l)
	a.afterChange(err, false, subject{userID: userID})
	return err
}

// invalidate handles a change that the store reports: to a user, or where
// userID is empty to the key of a digest. Watched keys are looked up again in
// the background.
func (a *Authority) invalidate(userID string, key identity.Digest) {
	s := subject{userID: userID, digest: key}
	a.evict(s)
	if keys := a.watches.keys(s.match); len(keys) > 0 {
		a.background.start(func() { a.recheck(keys, time.Now()) })
	}
}

// afterChange updates the cache and the watches after a change to a subject's
// keys that returned err. dead says that the change makes them unusable.
func (a *Authority) afterChange(err error, dead bool, s subject) {
	for _, unchanged := range []error{identity.ErrNotFound, identity.ErrLastAdmin, identity.ErrNotActive} {
		if errors.Is(err, unchanged) {
			return
		}
	}
	// A store that failed may have made the change all the same.
	a.evict(s)
	if err == nil && dead {
		a.watches.end(s.match)
	}
}

func (a *Authority) evict(s subject) {
	a.generation.Add(1)
	if s.digest != (identity.Digest{}) {
		a.shard(s.digest).evict(s.digest)
		return
	}
	for i := range a.cache {
		a.cache[i].evictAll(s.match)
	}
}

// subject says whose keys a change concerns: all keys of a user, or one key, by
// its ID, its digest or both. By its digest it is found without a search of the
// whole cache.
type subject struct {
	userID, keyID string
	digest        identity.Digest
}

func (s subject) match(p *Principal) bool {
	switch {
	case s.userID != "":
		return p.UserID == s.userID
	case s.keyID != "":
		return p.KeyID == s.keyID
	default:
		return p.digest == s.digest
	}
}
