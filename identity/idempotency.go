package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// Idempotency makes a request that creates a key safe to repeat: a client that
// repeats it with the same idempotency key gets the first answer again, API key
// included, for ReceiptLifetime.
//
// The answer contains an API key, which is never stored in the clear. It is
// encrypted (AES-256-GCM) under a key that is derived (HKDF-SHA-256) from the
// client's idempotency key. That is not stored, so that the store alone cannot
// decrypt the answer. Refusing the repetition instead would leave a client that
// lost the answer, which is what the header is for, with a key that works and
// that nobody has. An idempotency key must therefore be hard to guess: at least
// 16 characters, best a random UUID.
type Idempotency struct {
	userID  string
	id      Digest
	request Digest
	seal    cipher.AEAD
}

// Receipt is an encrypted answer, as a Store keeps it.
type Receipt struct {
	UserID    string
	ID        Digest // of the idempotency key
	Request   Digest // of the request
	Answer    []byte // sealed
	ExpiresAt time.Time
}

// ReceiptLifetime is how long an answer is kept.
const ReceiptLifetime = 24 * time.Hour

// The lengths of an idempotency key.
const (
	minIdempotencyKey = 16
	maxIdempotencyKey = 255
)

// ErrOtherRequest says that an idempotency key was used for a different request
// before.
var ErrOtherRequest = errors.New("this idempotency key was used for another request")

// NewIdempotency returns the Idempotency of a user's request and the idempotency
// key that came with it: 16 to 255 visible ASCII characters. An error is an
// Invalid.
func NewIdempotency(userID, key string, request []byte) (*Idempotency, error) {
	if len(key) < minIdempotencyKey || len(key) > maxIdempotencyKey {
		return nil, Invalid(fmt.Sprintf("the idempotency key must have %d to %d characters: send a random UUID", minIdempotencyKey, maxIdempotencyKey))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return nil, Invalid("the idempotency key has characters that are no visible ASCII: send a random UUID")
		}
	}
	derive := func(purpose string, size int) ([]byte, error) {
		return hkdf.Key(sha256.New, []byte(key), []byte(userID), "tallygate idempotency "+purpose, size)
	}
	id, err := derive("id", sha256.Size)
	if err != nil {
		return nil, err
	}
	secret, err := derive("answer", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Idempotency{userID: userID, id: Digest(id), request: sha256.Sum256(request), seal: seal}, nil
}

// ID returns the ID that Store.Receipt finds the answer under.
func (i *Idempotency) ID() Digest { return i.id }

// Seal returns the receipt of an answer, ready for Store.CreateKeyOnce.
func (i *Idempotency) Seal(answer []byte, now time.Time) Receipt {
	return Receipt{
		UserID: i.userID, ID: i.id, Request: i.request, ExpiresAt: storable(now.Add(ReceiptLifetime)),
		Answer: i.seal.Seal(nil, nil, answer, i.request[:]),
	}
}

// Open returns the answer of a receipt, or ErrOtherRequest.
func (i *Idempotency) Open(r Receipt) ([]byte, error) {
	if r.Request != i.request {
		return nil, ErrOtherRequest
	}
	answer, err := i.seal.Open(nil, nil, r.Answer, i.request[:])
	if err != nil {
		return nil, errors.New("the answer that was kept for this idempotency key cannot be opened")
	}
	return answer, nil
}
