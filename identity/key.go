package identity

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
)

// Digest is the SHA-256 of a key.
type Digest [sha256.Size]byte

// An API key is its mark, then 256 random bits as 43 base62 digits, then the
// CRC-32 (IEEE) of all that precedes it as 6. The numbers are big-endian and
// padded with zeros to their width; the digits are 0-9A-Za-z. The mark is
// "sk-" unless the operator wants another.
//
// The checksum detects a typing error without a lookup in the store, and lets a
// secret scanner distinguish keys from random strings. It is not a secret.
const (
	DefaultMark = "sk-"

	randomDigits   = 43
	checksumDigits = 6
	digits         = randomDigits + checksumDigits
	shownDigits    = 8 // of the random ones, in a prefix: 208 bits stay secret
	maxMark        = 24
	// MaxKeyLength is the length of the longest keys, in bytes.
	MaxKeyLength = maxMark + digits
)

// markPattern matches the marks that are allowed. Their last character separates
// them from the digits.
var markPattern = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_-]{0,22}[_-]$`)

// keyPattern matches what has the form of a key, with any mark.
var keyPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,22}[_-][0-9A-Za-z]{49}$`)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// KeyFormat makes keys with a mark that the operator chose. The zero KeyFormat
// has DefaultMark. Keys are not refused for their mark: those that were made with
// another one go on working.
type KeyFormat struct{ mark string }

// NewKeyFormat returns the format of keys that begin with a mark. It must have 2
// to 24 of the characters A-Za-z0-9_-, with a letter first and _ or - last. An
// error is an Invalid.
func NewKeyFormat(mark string) (KeyFormat, error) {
	if !markPattern.MatchString(mark) {
		return KeyFormat{}, Invalid(fmt.Sprintf("the key prefix is %s: it must be 2 to %d letters, digits, _ or -, begin with a letter and end with _ or -, as in acme_live_", Quote(mark), maxMark))
	}
	return KeyFormat{mark}, nil
}

// Mark returns the characters that the keys begin with.
func (f KeyFormat) Mark() string { return cmp.Or(f.mark, DefaultMark) }

// Pattern returns a regular expression for secret scanners. Its syntax is common
// to RE2, PCRE and Hyperscan. WellFormed decides which of the matches are keys.
func (f KeyFormat) Pattern() string {
	return `\b` + regexp.QuoteMeta(f.Mark()) + `[0-9A-Za-z]{49}\b`
}

// NewKey makes a key. Store only its digest, and the prefix, which may be shown:
// "sk-a1b2c3d4…".
func (f KeyFormat) NewKey() (key string, d Digest, prefix string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	key = keyFrom(f.Mark(), random)
	return key, DigestOf(key), ShownPrefix(key)
}

// ShownPrefix returns as much of a string as may be shown: of a key, the prefix
// that the store keeps; of what begins with DefaultMark and is long enough to be
// a damaged key, the same; of anything else, which may be another secret, "".
func ShownPrefix(presented string) string {
	mark := len(DefaultMark)
	switch {
	case WellFormed(presented):
		mark = len(presented) - digits
	case !strings.HasPrefix(presented, DefaultMark) || len(presented) < mark+3*shownDigits:
		return ""
	}
	return presented[:mark+shownDigits] + "…"
}

func keyFrom(mark string, random [32]byte) string {
	var number [8]uint32
	for i := range number {
		number[i] = binary.BigEndian.Uint32(random[4*i:])
	}
	key := make([]byte, len(mark)+digits)
	copy(key, mark)
	sealed := len(key) - checksumDigits
	encodeBase62(key[len(mark):sealed], number[:])
	sum := checksum(string(key[:sealed]))
	copy(key[sealed:], sum[:])
	return string(key)
}

// WellFormed reports whether a string can be a key, with any mark: it has the
// length, the digits and the checksum of one. It allocates nothing.
func WellFormed(key string) bool {
	if !keyPattern.MatchString(key) {
		return false
	}
	sealed := len(key) - checksumDigits
	sum := checksum(key[:sealed])
	return key[sealed:] == string(sum[:])
}

// DigestOf returns the digest that a key is stored and found under. It allocates
// nothing for a string of a key's length.
func DigestOf(key string) Digest {
	return sha256.Sum256(append(make([]byte, 0, MaxKeyLength), key...))
}

func checksum(s string) (sum [checksumDigits]byte) {
	// Byte by byte, since crc32.ChecksumIEEE would have s copied to the heap.
	crc, table := ^uint32(0), crc32.IEEETable
	for i := range len(s) {
		crc = crc>>8 ^ table[byte(crc)^s[i]]
	}
	encodeBase62(sum[:], []uint32{^crc})
	return sum
}

// encodeBase62 writes a number, most significant word first, into all of dst. It
// overwrites the number with zero.
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
