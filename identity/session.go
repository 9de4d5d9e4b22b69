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

	"github.com/google/uuid"
)

// SigningKey is a key that tokens of the admin API are signed with.
type SigningKey struct {
	ID        string // the token's kid
	Secret    []byte // 32 random bytes
	CreatedAt time.Time
	ExpiresAt time.Time // when no token that it signed can be good any more; zero: never
}

// Keyring holds the signing keys of a store, the same in every process that
// shares it: one to sign with, and those that may have signed a token that is
// still good. A new one takes the place of the current one every period.
type Keyring struct {
	store    SessionStore
	period   time.Duration
	lifetime time.Duration // of a token
	fixed    *SigningKey

	mu     sync.Mutex // held while the store is asked, too: there is one question for all
	keys   []SigningKey
	readAt time.Time
}

const (
	keyringAge     = 5 * time.Second // how long the keys are trusted that were read
	keyringAgain   = time.Second     // at most this often they are read for an unknown kid
	signingSecrets = 32              // bytes
	signingOverlap = time.Minute     // clocks differ, and a process may sign with a key just replaced
)

// NewKeyring returns the signing keys of a store. A key signs for a period, and
// its tokens are good for a lifetime after.
func NewKeyring(s SessionStore, period, lifetime time.Duration) *Keyring {
	return &Keyring{store: s, period: period, lifetime: lifetime}
}

// FixedKeyring returns the keyring of one secret that never changes, and that
// no store knows.
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

// ByID returns the key that a token names as its kid, if it is one to trust.
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
		if age == keyringAgain {
			return SigningKey{}, false, nil
		}
		age = keyringAgain
	}
}

// Rotate makes a new key to sign with. Tokens signed with those before stay
// good, unless they are retired: then everyone has to log in again.
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
		ID: uuid.Must(uuid.NewV7()).String(), Secret: make([]byte, signingSecrets), CreatedAt: storable(now),
		ExpiresAt: storable(now.Add(r.period + r.lifetime + signingOverlap)),
	}
	_, _ = rand.Read(k.Secret) // never fails: it ends the program instead
	if _, err := r.store.AddSigningKey(ctx, k, newest); err != nil {
		return err
	}
	return r.read(ctx, 0, now) // another's, if that was faster
}

// read reads the keys, unless it did so less than an age ago.
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
