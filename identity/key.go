package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/google/uuid"
)

// Digest is the SHA-256 of a key.
type Digest [sha256.Size]byte

// An API key is "sk-", then 256 random bits as 43 base62 digits, then the
// CRC-32 (IEEE) of all that precedes it as 6. The numbers are big-endian and
// padded with zeros to their width; the digits are 0-9A-Za-z.
//
// The checksum tells a key from a typing error without asking the store, and
// a real key from a likely string in a secret scanner. It is no secret.
const (
	KeyLength = len(keyMark) + randomDigits + checksumDigits

	keyMark        = "sk-"
	randomDigits   = 43
	checksumDigits = 6
	shownDigits    = 8 // of the random ones, in a prefix: 208 bits stay secret
)

// KeyPattern is a regular expression for secret scanners; the syntax is common
// to RE2, PCRE and Hyperscan. Of what it finds, WellFormed tells which are keys.
const KeyPattern = `\bsk-[0-9A-Za-z]{49}\b`

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewKey makes a key. Only its digest is to be stored, with the prefix, which
// may be shown: "sk-a1b2c3d4…".
func NewKey() (key string, d Digest, prefix string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	key = keyFrom(random)
	return key, DigestOf(key), key[:len(keyMark)+shownDigits] + "…"
}

func keyFrom(random [32]byte) string {
	var number [8]uint32
	for i := range number {
		number[i] = binary.BigEndian.Uint32(random[4*i:])
	}
	key := make([]byte, KeyLength)
	copy(key, keyMark)
	encodeBase62(key[len(keyMark):KeyLength-checksumDigits], number[:])
	sum := checksum(string(key[:KeyLength-checksumDigits]))
	copy(key[KeyLength-checksumDigits:], sum[:])
	return string(key)
}

// WellFormed tells whether a string can be a key: its length, its digits and
// its checksum are a key's. It does the same work for every string of a key's
// length, and allocates nothing.
func WellFormed(key string) bool {
	if len(key) != KeyLength || key[:len(keyMark)] != keyMark {
		return false
	}
	var wrong byte
	for i := len(keyMark); i < KeyLength; i++ {
		wrong |= notBase62[key[i]]
	}
	sum := checksum(key[:KeyLength-checksumDigits])
	for i, digit := range sum {
		wrong |= digit ^ key[KeyLength-checksumDigits+i]
	}
	return wrong == 0
}

// DigestOf returns what a key is stored and found under. It allocates nothing
// for a string of a key's length.
func DigestOf(key string) Digest {
	return sha256.Sum256(append(make([]byte, 0, KeyLength), key...))
}

func checksum(s string) (digits [checksumDigits]byte) {
	// Byte by byte, since crc32.ChecksumIEEE would have s copied to the heap.
	crc, table := ^uint32(0), crc32.IEEETable
	for i := range len(s) {
		crc = crc>>8 ^ table[byte(crc)^s[i]]
	}
	encodeBase62(digits[:], []uint32{^crc})
	return digits
}

// encodeBase62 fills dst with a number, most significant word first, and
// leaves zero in its place.
func encodeBase62(dst []byte, number []uint32) {
	for i := len(dst) - 1; i >= 0; i-- {
		var rest uint64
		for j, word := range number {
			n := rest<<32 | uint64(word)
			number[j], rest = uint32(n/62), n%62
		}
		dst[i] = base62[rest]
	}
}

// notBase62 is 1 for every byte that is no base62 digit.
var notBase62 = func() (table [256]byte) {
	for i := range table {
		table[i] = 1
	}
	for i := range len(base62) {
		table[base62[i]] = 0
	}
	return table
}()

// IssueKey makes a key for a user and its record, ready for Store.CreateKey.
// The key itself is nowhere else: show it to the user, once. The name must
// have 1 to 100 printable characters beside the spaces around it, which are
// dropped; expiresAt must be in the future, or zero for a key that never
// expires. An error is an Invalid.
func IssueKey(userID, name string, expiresAt time.Time) (record Key, key string, err error) {
	name, err = keyName(name)
	if err != nil {
		return Key{}, "", err
	}
	now := time.Now()
	if !expiresAt.IsZero() && !expiresAt.After(now) {
		return Key{}, "", Invalid("a key must expire in the future, or never")
	}
	key, digest, prefix := NewKey()
	return Key{
		ID:        uuid.Must(uuid.NewV7()).String(),
		UserID:    userID,
		Name:      name,
		Prefix:    prefix,
		Digest:    digest,
		CreatedAt: storable(now),
		ExpiresAt: storable(expiresAt),
	}, key, nil
}
