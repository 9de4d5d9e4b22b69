package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tallygate/tallygate/internal/uuidv7"
)

// SigningKey is a key that tokens of the admin API are signed with.
type SigningKey struct {
	ID        string // the token's kid
	Secret    []byte // 32 random bytes
	CreatedAt time.Time
	ExpiresAt time.Time // when the last token that it signed has expired; zero: never
}

// Keyring holds the signing keys of a store, which are the same in every process
// that shares it: one to sign with, and those that may have signed a token that
// is still valid. A new key replaces the current one every period.
type Keyring struct {
	store    SessionStore
	period   time.Duration
	lifetime time.Duration // of a token
	fixed    *SigningKey

	mu     sync.Mutex // held during a read of the store too, so that concurrent callers share it
	keys   []SigningKey
	readAt time.Time
}

const (
	keyringAge     = 5 * time.Second // how long the keys that were read are trusted
	keyringReread  = time.Second     // how often they are read again at most for an unknown kid
	signingSecrets = 32              // bytes
	signingOverlap = time.Minute     // clocks differ, and a process may still sign with a key that was just replaced
)

// NewKeyring returns the signing keys of a store. A key signs tokens for a
// period, and each token is valid for a lifetime.
func NewKeyring(s SessionStore, period, lifetime time.Duration) *Keyring {
	return &Keyring{store: s, period: period, lifetime: lifetime}
}

// FixedKeyring returns the keyring of one secret that never changes and is not
// in a store.
func FixedKeyring(secret []byte) *Keyring {
	sum := sha256.Sum256(append([]byte("tallygate kid "), secret...))
	return &Keyring{fixed: &SigningKey{ID: "fixed-" + hex.EncodeToString(sum[:4]), Secret: secret}}
}

// Current returns the key to sign with now.
func (r *Keyring) Current(ctx context.Context) (SigningKey, error) {
	if r.fixed != nil {
		return *r.fixed, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if err := r.read(ctx, keyringAge, now); err != nil {
		return SigningKey{}, err
	}
	if len(r.keys) == 0 || now.Sub(r.keys[0].CreatedAt) >= r.period {
		if err := r.add(ctx, now, now.Add(-r.period)); err != nil {
			return SigningKey{}, err
		}
		if len(r.keys) == 0 {
			return SigningKey{}, fmt.Errorf("the store lost its signing keys: %w", ErrNotFound)
		}
	}
	return r.keys[0], nil
}

// ByID returns the key that a token names as its kid, and reports whether it is
// to be trusted.
func (r *Keyring) ByID(ctx context.Context, id string) (SigningKey, bool, error) {
	if r.fixed != nil {
		return *r.fixed, r.fixed.ID == id, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	age := keyringAge
	for {
		if err := r.read(ctx, age, now); err != nil {
			return SigningKey{}, false, err
		}
		i := slices.IndexFunc(r.keys, func(k SigningKey) bool { return k.ID == id })
		if i >= 0 {
			return r.keys[i], now.Before(r.keys[i].ExpiresAt), nil
		}
		// Another process may have made it a moment ago.
		if age == keyringReread {
			return SigningKey{}, false, nil
		}
		age = keyringReread
	}
}

// Rotate makes a new key to sign with. Tokens signed with earlier keys stay valid,
// unless retire is set: then everyone has to log in again.
func (r *Keyring) Rotate(ctx context.Context, retire bool) error {
	if r.fixed != nil {
		return Invalid("the signing key is set from outside: change it there")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if err := r.add(ctx, now, now.Add(time.Hour)); err != nil {
		return err
	}
	if !retire || len(r.keys) == 0 {
		return nil
	}
	if err := r.store.RetireSigningKeys(ctx, r.keys[0].CreatedAt); err != nil {
		return err
	}
	return r.read(ctx, 0, now)
}

func (r *Keyring) add(ctx context.Context, now, newest time.Time) error {
	k := SigningKey{
		ID: uuidv7.New(now).String(), Secret: make([]byte, signingSecrets), CreatedAt: storable(now),
		ExpiresAt: storable(now.Add(r.period + r.lifetime + signingOverlap)),
	}
	_, _ = rand.Read(k.Secret) // never fails: it ends the program instead
	if _, err := r.store.AddSigningKey(ctx, k, newest); err != nil {
		return err
	}
	return r.read(ctx, 0, now) // another process may have been faster
}

// read reads the keys, unless they were read less than an age ago.
func (r *Keyring) read(ctx context.Context, age time.Duration, now time.Time) error {
	if !r.readAt.IsZero() && now.Sub(r.readAt) < age {
		return nil
	}
	keys, err := r.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	r.keys, r.readAt = keys, now
	return nil
}
