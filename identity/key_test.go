package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// keyLength is of a key with the default mark.
const keyLength = 52

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys were worked out in Python, with int.from_bytes and zlib.crc32.
func TestKeyFrom(t *testing.T) {
	var counting [32]byte
	for i := range counting {
		counting[i] = byte(i)
	}
	var ones [32]byte
	for i := range ones {
		ones[i] = 255
	}
	for want, random := range map[string][32]byte{
		"sk-00000000000000000000000000000000000000000003P9rQy": {},
		"sk-003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2j7ZOG": counting,
		"sk-yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp10KxnhU": ones,
	} {
		if got := keyFrom(DefaultMark, random); got != want {
			t.Errorf("keyFrom(%x) = %s, want %s", random, got, want)
		}
	}
}

func TestNewKey(t *testing.T) {
	pattern := regexp.MustCompile(`^sk-[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 1000 {
		key, digest, prefix := KeyFormat{}.NewKey()
		if !pattern.MatchString(key) || len(key) != keyLength || !WellFormed(key) {
			t.Fatalf("%q is no key", key)
		}
		if digest != sha256.Sum256([]byte(key)) || digest != DigestOf(key) {
			t.Errorf("the digest of %q is not its SHA-256", key)
		}
		if want := key[:11] + "…"; prefix != want {
			t.Errorf("prefix %q, want %q", prefix, want)
		}
		if seen[key] {
			t.Fatalf("%q was made twice", key)
		}
		seen[key] = true
	}
}

// TestWellFormedTypo: whatever one character becomes, and whichever two
// neighbors change places, the key is refused.
func TestWellFormedTypo(t *testing.T) {
	format := regexp.MustCompile(anyKey)
	key, _, _ := KeyFormat{}.NewKey()
	for i := range len(key) {
		for c := range 256 {
			typo := key[:i] + string([]byte{byte(c)}) + key[i+1:]
			if got, want := WellFormed(typo), typo == key; got != want {
				t.Errorf("WellFormed(%q) = %t, want %t", typo, got, want)
			}
			if i >= 46 {
				continue
			}
			sealed := typo[:46] + checksumByBigInt(typo[:46])
			if got, want := WellFormed(sealed), format.MatchString(sealed); got != want {
				t.Errorf("WellFormed(%q) = %t, want %t", sealed, got, want)
			}
		}
		if i > 0 && key[i-1] != key[i] {
			if swapped := key[:i-1] + key[i:i+1] + key[i-1:i] + key[i+1:]; WellFormed(swapped) {
				t.Errorf("WellFormed(%q), two characters of %q swapped", swapped, key)
			}
		}
	}
	for _, s := range []string{"", "sk-", key[3:], key[2:], key[:len(key)-1], key + "0", " " + key, key + "\n", "SK-" + key[3:], "pk-" + key[3:],
		strings.Repeat("\x00", keyLength), strings.Repeat("é", keyLength/2)} {
		if WellFormed(s) {
			t.Errorf("WellFormed(%q)", s)
		}
	}
}

// anyKey is what a key of any mark looks like, but for the checksum.
const anyKey = `^[A-Za-z0-9][0-9A-Za-z_-]{0,22}[_-][0-9A-Za-z]{49}$`

// FuzzWellFormed holds WellFormed against the format's words, said with
// math/big and a regular expression.
func FuzzWellFormed(f *testing.F) {
	key, _, _ := KeyFormat{}.NewKey()
	for _, s := range []string{key, key[:len(key)-1] + "!", "sk-", "", "sk-" + strings.Repeat("0", 49), strings.Repeat("\xff", keyLength)} {
		f.Add(s)
	}
	format := regexp.MustCompile(anyKey)
	f.Fuzz(func(t *testing.T, s string) {
		cut := max(0, len(s)-6)
		if got, want := WellFormed(s), format.MatchString(s) && s[cut:] == checksumByBigInt(s[:cut]); got != want {
			t.Errorf("WellFormed(%q) = %t, want %t", s, got, want)
		}
		if format.MatchString(s[:cut] + "000000") {
			if sealed := s[:cut] + checksumByBigInt(s[:cut]); !WellFormed(sealed) {
				t.Errorf("WellFormed(%q) = false", sealed)
			}
		}
	})
}

func TestKeyFromProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "random"))
		key := keyFrom("sk-", random)
		if want := "sk-" + byBigInt(new(big.Int).SetBytes(random[:]), 43); key[:46] != want {
			t.Errorf("keyFrom(%x) = %s, want %s…", random, key, want)
		}
		if key[46:] != checksumByBigInt(key[:46]) {
			t.Errorf("the checksum of %s is wrong", key)
		}
	})
}

// byBigInt is base62 by math/big, whose digits have their cases swapped.
func byBigInt(n *big.Int, width int) string {
	digits := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, n.Text(62))
	return strings.Repeat("0", width-len(digits)) + digits
}

// checksumByBigInt computes the CRC bit by bit.
func checksumByBigInt(s string) string {
	crc := uint32(math.MaxUint32)
	for i := range len(s) {
		crc ^= uint32(s[i])
		for range 8 {
			crc = crc>>1 ^ 0xEDB88320&-(crc&1)
		}
	}
	return byBigInt(big.NewInt(int64(^crc)), 6)
}

func TestKeyPattern(t *testing.T) {
	pattern := regexp.MustCompile(KeyFormat{}.Pattern())
	key, _, _ := KeyFormat{}.NewKey()
	for _, text := range []string{"%s", `{"Authorization":"Bearer %s"}`, "API_KEY=%s\n", "(%s)", "http://x/?key=%s&a=b", "%s.", "-%s-"} {
		if got := pattern.FindString(fmt.Sprintf(text, key)); got != key {
			t.Errorf("in %q, found %q", text, got)
		}
	}
	for _, text := range []string{key[:len(key)-1], key + "x", "a" + key, "disk-" + key[3:], "sk-" + strings.Repeat("a", 48),
		"sk-proj-" + strings.Repeat("a", 49), strings.ToUpper(key[:3]) + key[3:], "sk-a1b2c3d4…"} {
		if got := pattern.FindString(text); got != "" {
			t.Errorf("in %q, found %q", text, got)
		}
	}
}

// TestMark: a mark of the operator's choice is part of the key, of its checksum
// and of the pattern for secret scanners; keys of every mark are well-formed.
func TestMark(t *testing.T) {
	for _, mark := range []string{"a-", "sk-", "acme_live_", "Acme-2-", "abcdefghijklmnopqrstuvw_"} {
		f, err := NewKeyFormat(mark)
		if err != nil {
			t.Fatal(err)
		}
		key, digest, prefix := f.NewKey()
		if f.Mark() != mark || !strings.HasPrefix(key, mark) || len(key) != len(mark)+49 || !WellFormed(key) || digest != DigestOf(key) {
			t.Errorf("%q is no key of the mark %q", key, mark)
		}
		if want := mark + key[len(mark):len(mark)+8] + "…"; prefix != want {
			t.Errorf("prefix %q, want %q", prefix, want)
		}
		if n := testing.AllocsPerRun(100, func() { _ = WellFormed(key) && DigestOf(key) == Digest{} }); n != 0 {
			t.Errorf("%v allocations for the mark %q", n, mark)
		}
		pattern := regexp.MustCompile(f.Pattern())
		for _, text := range []string{"%s", `{"key":"%s"}`, "KEY=%s\n"} {
			if got := pattern.FindString(fmt.Sprintf(text, key)); got != key {
				t.Errorf("%s, in %q, found %q", f.Pattern(), text, got)
			}
		}
		other, _, _ := KeyFormat{mark: "other-"}.NewKey()
		if got := pattern.FindString(other); got != "" {
			t.Errorf("%s found %q", f.Pattern(), got)
		}
		for i := range mark {
			if typo := mark[:i] + "x" + key[i+1:]; typo != key && WellFormed(typo) {
				t.Errorf("WellFormed(%q), of %q", typo, key)
			}
		}
	}
	for _, mark := range []string{"", "-", "_", "sk", "1k-", "-k-", "s k-", "sk.-", "é-", "sk-\n", "abcdefghijklmnopqrstuvwx_"} {
		var invalid Invalid
		if _, err := NewKeyFormat(mark); !errors.As(err, &invalid) {
			t.Errorf("NewKeyFormat(%q): %v", mark, err)
		}
	}
}

func TestKeyCostsNoAllocation(t *testing.T) {
	key, _, _ := KeyFormat{}.NewKey()
	if n := testing.AllocsPerRun(100, func() {
		if !WellFormed(key) || DigestOf(key) == (Digest{}) {
			t.Error("no key")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestIssueKey(t *testing.T) {
	zone := time.FixedZone("", 3600)
	expires := time.Now().Add(time.Hour).In(zone)
	record, key, err := IssueKey("user", "  my cursor key é 日本 \n", expires)
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(record.CreatedAt); age < 0 || age > time.Minute {
		t.Errorf("created %v ago", age)
	}
	want := Key{
		ID:        record.ID,
		UserID:    "user",
		Name:      "my cursor key é 日本",
		Prefix:    key[:11] + "…",
		Digest:    DigestOf(key),
		CreatedAt: record.CreatedAt.UTC().Truncate(time.Microsecond),
		ExpiresAt: expires.UTC().Truncate(time.Microsecond),
	}
	if diff := cmp.Diff(want, record); diff != "" || !WellFormed(key) || len(record.ID) != 36 || record.ID[14] != '7' {
		t.Errorf("IssueKey, ID %s (-want +got):\n%s", record.ID, diff)
	}

	record, _, err = IssueKey("user", strings.Repeat("é", 100), time.Time{})
	if err != nil || !record.ExpiresAt.IsZero() {
		t.Errorf("a key that never expires: %+v, %v", record, err)
	}
	for _, name := range []string{"", " \t\n", strings.Repeat("é", 101), "a\x00b", "a\nb", "\u202egnp", "a\u200bb", "\xff"} {
		_, key, err := IssueKey("user", name, time.Time{})
		var invalid Invalid
		if !errors.As(err, &invalid) || key != "" {
			t.Errorf("IssueKey with the name %.20q: %v", name, err)
		}
	}
	for _, at := range []time.Time{time.Now(), time.Unix(0, 0), time.Now().Add(-time.Hour)} {
		var invalid Invalid
		if _, _, err := IssueKey("user", "name", at); !errors.As(err, &invalid) {
			t.Errorf("IssueKey with the expiry %v: %v", at, err)
		}
	}
}

func TestStatus(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		key  Key
		want Status
	}{
		{Key{}, Active},
		{Key{ExpiresAt: at.Add(1)}, Active},
		{Key{ExpiresAt: at}, Expired},
		{Key{ExpiresAt: at.Add(-1)}, Expired},
		{Key{RevokedAt: at.Add(1)}, Revoked},
		{Key{RevokedAt: at, ExpiresAt: at}, Revoked},
		{Key{ExpiresAt: at.Add(1), ReplacedBy: "another"}, Active},
		{Key{ExpiresAt: at, ReplacedBy: "another"}, Rotated},
		{Key{ExpiresAt: at, ReplacedBy: "another", RevokedAt: at}, Revoked},
	} {
		if got := test.key.Status(at); got != test.want {
			t.Errorf("Status of %+v = %s, want %s", test.key, got, test.want)
		}
	}
}

func BenchmarkNewKey(b *testing.B) {
	for b.Loop() {
		KeyFormat{}.NewKey()
	}
}

func BenchmarkWellFormed(b *testing.B) {
	key, _, _ := KeyFormat{}.NewKey()
	b.ReportAllocs()
	for b.Loop() {
		WellFormed(key)
	}
}
