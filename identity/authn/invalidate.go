package identity

import (
	"context"
	"errors"
	"time"
)

// The changes of a Store that decide about keys, which take effect here at
// once.

// CreateKey is the store's. The key works from the next call on.
func (a *Authority) CreateKey(ctx context.Context, k Key) error {
	defer a.generation.Add(1)
	return a.Store.CreateKey(ctx, k)
}

// CreateKeyOnce is the store's, likewise.
func (a *Authority) CreateKeyOnce(ctx context.Context, k Key, r Receipt) error {
	defer a.generation.Add(1)
	return a.Store.CreateKeyOnce(ctx, k, r)
}

// UpdateKey is the store's. It holds from the next call on.
func (a *Authority) UpdateKey(ctx context.Context, userID, keyID string, c KeyChange) (Key, error) {
	k, err := a.Store.UpdateKey(ctx, userID, keyID, c)
	a.changed(err, false, subject{keyID: keyID, digest: k.Digest})
	return k, err
}

// RevokeKey is the store's. The key is refused from the next call on, and what
// watches it ends before RevokeKey returns.
func (a *Authority) RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (Key, error) {
	k, err := a.Store.RevokeKey(ctx, userID, keyID, at, reason)
	a.changed(err, true, subject{keyID: keyID, digest: k.Digest})
	return k, err
}

// RotateKey is the store's. The new key works from the next call on.
func (a *Authority) RotateKey(ctx context.Context, userID, keyID string, fresh Key, until time.Time) (old, replacement Key, err error) {
	old, replacement, err = a.Store.RotateKey(ctx, userID, keyID, fresh, until)
	a.changed(err, false, subject{keyID: keyID, digest: old.Digest})
	return old, replacement, err
}

// SetDisabled is the store's. The user's keys are refused, or taken again, from
// the next call on; when they are refused, what watches them ends before
// SetDisabled returns.
func (a *Authority) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	err := a.Store.SetDisabled(ctx, userID, disabled)
	a.changed(err, disabled, subject{userID: userID})
	return err
}

// SetUserLimits is the store's. They hold from the next call on.
func (a *Authority) SetUserLimits(ctx context.Context, userID string, l Limits) error {
	err := a.Store.SetUserLimits(ctx, userID, l)
	a.changed(err, false, subject{userID: userID})
	return err
}

// told follows a change made elsewhere, to a user or else to a key.
func (a *Authority) told(userID string, key Digest) {
	s := subject{userID: userID, digest: key}
	a.changed(nil, false, s)
	if keys := a.watches.keys(s.match); len(keys) > 0 {
		a.background.start(func() { a.recheck(keys, time.Now()) })
	}
}

// changed follows a change, which ended with err and, if dead is set, took the
// life of the subject's keys.
func (a *Authority) changed(err error, dead bool, s subject) {
	for _, unchanged := range []error{ErrNotFound, ErrLastAdmin, ErrNotActive} {
		if errors.Is(err, unchanged) {
			return
		}
	}
	// A store that failed may have made the change all the same.
	a.generation.Add(1)
	if s.digest != (Digest{}) {
		a.known[s.digest[0]].forget(s.digest)
	} else {
		for i := range a.known {
			a.known[i].forgetAll(s.match)
		}
	}
	if err == nil && dead {
		a.watches.end(s.match)
	}
}

// subject is whose keys a change is about: all of a user's, or one, by its ID or
// its digest or both. By its digest it is found at once, however many are known.
type subject struct {
	userID, keyID string
	digest        Digest
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
