package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"time"

	"github.com/tallygate/tallygate/internal/uuidv7"
)

// Invite lets the person who has its token register as a user, once.
type Invite struct {
	ID         string // UUIDv7
	Email      string // of the new user, as NormalizeEmail returns it
	Role       Role
	Limits     Limits
	Digest     Digest // SHA-256 of the token; unique
	CreatedAt  time.Time
	ExpiresAt  time.Time
	AcceptedAt time.Time // zero: not accepted
}

// Open reports whether the invitation can be accepted at now.
func (i *Invite) Open(now time.Time) bool {
	return i.AcceptedAt.IsZero() && now.Before(i.ExpiresAt)
}

// NewInvite makes an invitation, ready for Store.CreateInvite, and its token. The
// token is not kept anywhere: put it into the link that the invited person gets.
// An error is an Invalid.
func NewInvite(email string, role Role, l Limits, validFor time.Duration) (i Invite, token string, err error) {
	email, err = NormalizeEmail(email)
	if err != nil {
		return Invite{}, "", err
	}
	if err := role.Check(); err != nil {
		return Invite{}, "", err
	}
	if err := l.Check(); err != nil {
		return Invite{}, "", err
	}
	if validFor <= 0 {
		return Invite{}, "", Invalid(fmt.Sprintf("an invitation must be valid for some time, not %v", validFor))
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	token = base64.RawURLEncoding.EncodeToString(random[:])
	now := storable(time.Now())
	return Invite{
		ID: uuidv7.New(now).String(), Email: email, Role: role, Limits: l, Digest: InviteDigest(token),
		CreatedAt: now, ExpiresAt: storable(now.Add(validFor)),
	}, token, nil
}

// CheckBaseURL returns an Invalid unless a string can stand before the path of an
// invitation's link: a web address of http or https.
func CheckBaseURL(s string) error {
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return Invalid(fmt.Sprintf("%s is no web address, as in https://keys.example.com", Quote(s)))
	}
	return nil
}

// InviteDigest returns the digest that the invitation of a token is found under.
func InviteDigest(token string) Digest { return sha256.Sum256([]byte(token)) }
