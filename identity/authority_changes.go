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
	a.changed(err, false, ofKey(keyID))
	return k, err
}

// RevokeKey is the store's. The key is refused from the next call on, and what
// watches it ends before RevokeKey returns.
func (a *Authority) RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (Key, error) {
	k, err := a.Store.RevokeKey(ctx, userID, keyID, at, reason)
	a.changed(err, true, ofKey(keyID))
	return k, err
}

// RotateKey is the store's. The new key works from the next call on.
func (a *Authority) RotateKey(ctx context.Context, userID, keyID string, fresh Key, until time.Time) (old, replacement Key, err error) {
	old, replacement, err = a.Store.RotateKey(ctx, userID, keyID, fresh, until)
	a.changed(err, false, ofKey(keyID))
	return old, replacement, err
}

// SetDisabled is the store's. The user's keys are refused, or taken again, from
// the next call on; when they are refused, what watches them ends before
// SetDisabled returns.
func (a *Authority) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	err := a.Store.SetDisabled(ctx, userID, disabled)
	a.changed(err, disabled, ofUser(userID))
	return err
}

// SetUserLimits is the store's. They hold from the next call on.
func (a *Authority) SetUserLimits(ctx context.Context, userID string, l Limits) error {
	err := a.Store.SetUserLimits(ctx, userID, l)
	a.changed(err, false, ofUser(userID))
	return err
}

// told follows a change made elsewhere.
func (a *Authority) told(userID, keyID string) {
	match := ofKey(keyID)
	if keyID == "" {
		match = ofUser(userID)
	}
	a.changed(nil, false, match)
	if keys := a.watches.keys(match); len(keys) > 0 {
		a.background.start(func() { a.recheck(keys, time.Now()) })
	}
}

// changed follows a change to the keys of the principals that match, which
// ended with err and, if dead is set, took their keys' life.
func (a *Authority) changed(err error, dead bool, match func(*Principal) bool) {
	for _, unchanged := range []error{ErrNotFound, ErrLastAdmin, ErrNotActive} {
		if errors.Is(err, unchanged) {
			return
		}
	}
	// A store that failed may have made the change all the same.
	a.generation.Add(1)
	for i := range a.known {
		a.known[i].forget(match)
	}
	if err == nil && dead {
		a.watches.end(match)
	}
}

func ofKey(id string) func(*Principal) bool {
	return func(p *Principal) bool { return p.KeyID == id }
}

func ofUser(id string) func(*Principal) bool {
	return func(p *Principal) bool { return p.UserID == id }
}
