package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
)

// A password must be long enough and none that everybody tries first (NIST SP 800-63B,
// 3.1.1.2; OWASP ASVS 5.0, 6.2.4). There are no rules of composition. The upper limit
// keeps clients from having megabytes hashed.
const (
	MinPasswordBytes = 8
	MaxPasswordBytes = 1024
)

//go:embed common_passwords.txt
var commonPasswordsText string

// commonPasswords are in lower case.
var commonPasswords = sync.OnceValue(func() map[string]bool {
	common := make(map[string]bool)
	for line := range strings.Lines(commonPasswordsText) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			common[line] = true
		}
	}
	return common
})

// checkNewPassword returns an Invalid unless the user with an email address may have
// a password.
func checkNewPassword(password, email string) error {
	if len(password) < MinPasswordBytes || len(password) > MaxPasswordBytes {
		return Invalid(fmt.Sprintf("the password must have %d to %d bytes", MinPasswordBytes, MaxPasswordBytes))
	}
	lower := strings.ToLower(password)
	local, _, _ := strings.Cut(email, "@")
	if commonPasswords()[lower] || lower == email || lower == local || strings.Trim(password, password[:1]) == "" {
		return Invalid("the password is one of those that are tried first: use a longer one, such as four words that have nothing to do with each other")
	}
	return nil
}

// HashPassword returns the form in which a password of the user with an email address
// is stored: a PHC string of argon2id with a random salt. An error is an Invalid, or
// the context's.
func HashPassword(ctx context.Context, password, email string) (string, error) {
	if err := checkNewPassword(password, email); err != nil {
		return "", err
	}
	h := current
	h.salt = make([]byte, len(current.salt))
	_, _ = rand.Read(h.salt) // never fails: it ends the program instead
	var err error
	h.key, err = h.derive(ctx, password)
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// CheckPassword reports whether a password is the one that was hashed. An error
// is the context's, or says what is wrong with the hash.
func CheckPassword(ctx context.Context, hash, password string) (bool, error) {
	h, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	if len(password) > MaxPasswordBytes {
		return false, nil // HashPassword accepts no such password
	}
	key, err := h.derive(ctx, password)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

// CheckNobody does the work of CheckPassword for a user that does not exist, so
// that the time of a failed login does not reveal which users exist.
func CheckNobody(ctx context.Context, password string) error {
	_, err := CheckPassword(ctx, nobody, password)
	return err
}

// argon2id is a password hashed by argon2id (RFC 9106).
type argon2id struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
	salt   []byte
	key    []byte
}

// current has the parameters of new hashes: the first of the minimum
// configurations in OWASP's Password Storage Cheat Sheet.
var current = argon2id{memory: 19456, passes: 2, lanes: 1, salt: make([]byte, 16), key: make([]byte, 32)}

// nobody is a hash that no password has.
var nobody = current.String()

// hashing is a semaphore.
var hashing = make(chan struct{}, ParallelHashes())

// ParallelHashes returns how many passwords are hashed or checked at a time. Each takes
// a core and 19 MiB for some 30 ms, and one core is left for everything else.
func ParallelHashes() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// derive returns the key of a password under h's parameters and salt.
func (h argon2id) derive(ctx context.Context, password string) ([]byte, error) {
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to hash a password: %w", context.Cause(ctx))
	}
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.key))), nil
}

// String returns h in the PHC string format
// (github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md).
func (h argon2id) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// phcPattern also bounds the lengths of the numbers, the salt (8 to 64 bytes) and
// the key (16 to 64 bytes).
var phcPattern = regexp.MustCompile(`^\$argon2id\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,3})` +
	`\$([0-9A-Za-z+/]{11,86})\$([0-9A-Za-z+/]{22,86})$`)

// The most expensive parameters that are accepted: a stored hash must not make a
// login cost more.
const (
	maxMemory = 256 << 10 // KiB
	maxPasses = 16
	maxLanes  = 16
)

// parsePHC reads what String wrote. Its errors do not repeat the hash.
func parsePHC(s string) (argon2id, error) {
	parts := phcPattern.FindStringSubmatch(s)
	if parts == nil {
		return argon2id{}, errors.New("the stored password hash is not a PHC string of argon2id, version 19")
	}
	var numbers [3]int
	for i := range numbers {
		numbers[i], _ = strconv.Atoi(parts[1+i]) // the pattern lets only numbers through
	}
	m, t, p := numbers[0], numbers[1], numbers[2]
	if m < 8*p || m > maxMemory || t < 1 || t > maxPasses || p < 1 || p > maxLanes {
		return argon2id{}, fmt.Errorf("the stored password hash has parameters out of range: m=%d,t=%d,p=%d, at most m=%d,t=%d,p=%d",
			m, t, p, maxMemory, maxPasses, maxLanes)
	}
	salt, saltErr := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if saltErr != nil || keyErr != nil {
		return argon2id{}, errors.New("the stored password hash has a salt or a key that is not base64")
	}
	return argon2id{memory: uint32(m), passes: uint32(t), lanes: uint8(p), salt: salt, key: key}, nil
}
