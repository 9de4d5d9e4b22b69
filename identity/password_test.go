package identity

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

func TestPassword(t *testing.T) {
	seen := map[string]bool{}
	for _, password := range []string{
		"8 bytes!", "correct horse battery staple", "pässwörd", "\x00\x01\x02\x03\x04\x05\x06\x07", " spaces ", strings.Repeat("xy", 512),
	} {
		hash, err := HashPassword(t.Context(), password, "ann@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(hash, password) || seen[hash] {
			t.Errorf("HashPassword(%.20q) = %s", password, hash)
		}
		seen[hash] = true
		for _, other := range []string{password, password + "x", password[1:], strings.ToUpper(password), ""} {
			ok, err := CheckPassword(t.Context(), hash, other)
			if want := other == password; err != nil || ok != want {
				t.Errorf("CheckPassword(%.20q) for %.20q = %t, %v, want %t", other, password, ok, err, want)
			}
		}
	}
}

// The hash is of RFC 9106's algorithm by another hand: the reference
// implementation's command, `echo -n password | argon2 somesalt -id -t 2 -m 16
// -p 1 -l 32 -e`, as its test.c has it.
func TestCheckForeignPassword(t *testing.T) {
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for password, want := range map[string]bool{"password": true, "differentpassword": false} {
		if ok, err := CheckPassword(t.Context(), hash, password); err != nil || ok != want {
			t.Errorf("CheckPassword(%q) = %t, %v, want %t", password, ok, err, want)
		}
	}
}

func TestPasswordRules(t *testing.T) {
	for _, password := range []string{"", "1234567", strings.Repeat("x", 1025)} {
		var invalid Invalid
		if _, err := HashPassword(t.Context(), password, "ann@example.com"); !errors.As(err, &invalid) || invalid != "the password must have 8 to 1024 bytes" {
			t.Errorf("HashPassword of %d bytes: %v", len(password), err)
		}
	}
	hash, err := HashPassword(t.Context(), "a passphrase", "")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := CheckPassword(t.Context(), hash, strings.Repeat("x", 1<<20)); ok || err != nil {
		t.Errorf("CheckPassword of a megabyte = %t, %v", ok, err)
	}
}

var badHashes = []string{
	"", "password", "$argon2id$", "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
	"$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=19456,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=19456,t=2,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=7,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=262145,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=999999999,t=999999999,p=255$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=-1,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=19456,t=17,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=19456,t=2,p=17$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c2hvcnQ",
	"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPP!",
	"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPd",
	"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHR$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 87),
	"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\n",
}

func TestBadHash(t *testing.T) {
	for _, hash := range badHashes {
		ok, err := CheckPassword(t.Context(), hash, "password")
		if ok || err == nil || !strings.Contains(err.Error(), "the stored password hash") || strings.Contains(err.Error(), "c29tZXNhbHQ") {
			t.Errorf("CheckPassword(%q) = %t, %v", hash, ok, err)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(nobody)
	for _, hash := range badHashes {
		f.Add(hash)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.memory > maxMemory || h.passes < 1 || h.passes > maxPasses || h.lanes < 1 || h.lanes > maxLanes ||
			len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
			t.Errorf("parsePHC(%q) = %+v", s, h)
		}
		if again, err := parsePHC(h.String()); err != nil || again.String() != h.String() {
			t.Errorf("parsePHC(%q) = %+v, %v", h, again, err)
		}
	})
}

// TestNobody: the hash for unknown users has the form of any other, and no
// password's.
func TestNobody(t *testing.T) {
	hash, err := HashPassword(t.Context(), "a passphrase", "")
	if err != nil {
		t.Fatal(err)
	}
	params := func(hash string) string { return hash[:strings.LastIndex(hash[:len(hash)-44], "$")] }
	if params(hash) != params(nobody) || len(hash) != len(nobody) {
		t.Errorf("nobody's hash is %s, anyone's is like %s", nobody, hash)
	}
	if err := CheckNobody(t.Context(), "12345678"); err != nil {
		t.Error(err)
	}
	if ok, err := CheckPassword(t.Context(), nobody, "12345678"); ok || err != nil {
		t.Errorf("nobody's password: %t, %v", ok, err)
	}
}

// TestHashingAtOnce: when as many passwords are being hashed as may be, others
// wait, and give up with their contexts.
func TestHashingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := hashing
		hashing = make(chan struct{}, 1) // the bubble's own
		defer func() { hashing = old }()
		hashing <- struct{}{}

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 3)
		go func() { _, err := HashPassword(ctx, "a passphrase", ""); done <- err }()
		go func() { _, err := CheckPassword(ctx, nobody, "12345678"); done <- err }()
		go func() { done <- CheckNobody(ctx, "12345678") }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("hashed beside the one that takes all places")
		}
		cancel()
		for range 3 {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("after canceling: %v", err)
			}
		}

		go func() { done <- CheckNobody(t.Context(), "12345678") }()
		synctest.Wait()
		<-hashing
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(hashing) != 0 {
			t.Error("a place was not given back")
		}
	})
}

func BenchmarkCheckPassword(b *testing.B) {
	hash, err := HashPassword(b.Context(), "a passphrase", "")
	if err != nil {
		b.Fatal(err)
	}
	for name, check := range map[string]func() error{
		"somebody": func() error { _, err := CheckPassword(b.Context(), hash, "another password"); return err },
		"nobody":   func() error { return CheckNobody(b.Context(), "another password") },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := check(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCommonPasswords: what is tried first is refused, with what to do instead.
func TestCommonPasswords(t *testing.T) {
	for _, password := range []string{
		"password", "PassWord", "12345678", "qwertyuiop", "11111111", "aaaaaaaaaaaaaaaa", "trustno1", "ann.smith@example.com", "Ann.Smith",
	} {
		_, err := HashPassword(t.Context(), password, "ann.smith@example.com")
		if words, ok := errors.AsType[Invalid](err); !ok || !strings.Contains(string(words), "use a longer one") {
			t.Errorf("%q: %v", password, err)
		}
	}
	if n := len(commonPasswords()); n != 3000 {
		t.Errorf("there are %d common passwords", n)
	}
	if err := checkNewPassword("correct horse battery staple", "ann@example.com"); err != nil {
		t.Error(err)
	}
}
