package identity

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/uuidv7"
)

// Invalid says what is wrong with an input, for the person who entered it. Find
// it with errors.As. Any other error of the functions here is a technical fault.
type Invalid string

func (e Invalid) Error() string { return string(e) }

const (
	maxEmailBytes = 254 // RFC 5321, 4.5.3.1.3, less the angle brackets
	maxNameChars  = 100

	errEmail = Invalid("the email address is not valid: enter it like name@example.com")
)

// NewUser makes a user with a fresh ID, ready for Store.CreateUser. It normalizes
// the address and hashes the password. An error is an Invalid, or the context's.
func NewUser(ctx context.Context, email, password string, role Role) (User, error) {
	email, err := NormalizeEmail(email)
	if err != nil {
		return User{}, err
	}
	if err := role.Check(); err != nil {
		return User{}, err
	}
	hash, err := HashPassword(ctx, password, email)
	if err != nil {
		return User{}, err
	}
	return User{
		ID:           uuidv7.New(time.Now()).String(),
		Email:        email,
		PasswordHash: hash,
		Role:         role,
		CreatedAt:    storable(time.Now()),
	}, nil
}

// NormalizeEmail returns the form of an address that users are stored and found
// under: in lower case, without the spaces around it. It must be a bare address
// (RFC 5322 addr-spec, no display name, quotes or comments) of printable
// characters and at most 254 bytes. An error is an Invalid.
func NormalizeEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	if !printable(s) {
		return "", errEmail
	}
	email := strings.ToLower(s)
	if len(email) > maxEmailBytes {
		return "", Invalid(fmt.Sprintf("the email address is longer than %d bytes", maxEmailBytes))
	}
	// Where net/mail writes it differently, there was more than a bare address.
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email {
		return "", errEmail
	}
	return email, nil
}

func keyName(s string) (string, error) {
	name := strings.TrimSpace(s)
	switch {
	case name == "":
		return "", Invalid("the key's name is empty")
	case utf8.RuneCountInString(name) > maxNameChars:
		return "", Invalid(fmt.Sprintf("the key's name is longer than %d characters", maxNameChars))
	case !IsText(name) || strings.ContainsRune(name, '\n'):
		return "", Invalid("the key's name has characters that cannot be printed")
	case !strings.ContainsFunc(name, unicode.IsGraphic):
		return "", Invalid("the key's name has no visible character")
	}
	return name, nil
}

// IsText reports whether a string may be a name or a note that people read: valid
// UTF-8 of printable characters, all kinds of spaces, newlines, and the joiners that
// emoji and several scripts need (U+200C, U+200D). Other invisible characters, such as
// those that change the direction of writing, are not text.
func IsText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) && r != '\n' && r != 0x200c && r != 0x200d
	})
}

// printable reports whether a string has printable characters only. It refuses
// control characters, among them the invisible ones that change the direction of
// writing, and all spaces but the plain one.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// storable returns t as a Store returns it: in UTC, to the microsecond.
func storable(t time.Time) time.Time {
	return t.UTC().Truncate(time.Microsecond)
}
