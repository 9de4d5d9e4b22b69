package identity

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNormalizeEmail(t *testing.T) {
	longest := strings.Repeat("a", 64) + "@" + strings.Repeat("b", 254-64-1-4) + ".com"
	for _, test := range []struct{ in, want string }{
		{"ann@example.com", "ann@example.com"},
		{" \tAnn.O'Hara+x@Example.COM\n", "ann.o'hara+x@example.com"},
		{"admin@localhost", "admin@localhost"},
		{"ÄNN@exämple.de", "änn@exämple.de"},
		{longest, longest},
	} {
		if got, err := NormalizeEmail(test.in); err != nil || got != test.want {
			t.Errorf("NormalizeEmail(%q) = %q, %v, want %q", test.in, got, err, test.want)
		}
	}
	for _, in := range []string{
		"", " ", "ann", "@", "ann@", "@example.com", "ann@@example.com", "ann example.com", "a b@example.com", "ann@exa mple.com",
		"Ann <ann@example.com>", "<ann@example.com>", "ann@example.com (Ann)", `"ann"@example.com`, `"a b"@example.com`,
		"ann@example.com, bob@example.com", "ann@example.com\x00", "ann\r\nBcc: bob@example.com", "ann\u202e@example.com",
		"ann\u200b@example.com", "ann\u00a0b@example.com", "ann@example.com\xff", "=?utf-8?q?ann?= <ann@example.com>", "a" + longest,
		strings.Repeat("x", 1<<20),
	} {
		var invalid Invalid
		if got, err := NormalizeEmail(in); !errors.As(err, &invalid) || got != "" {
			t.Errorf("NormalizeEmail(%.60q) = %q, %v", in, got, err)
		}
	}
}

func FuzzNormalizeEmail(f *testing.F) {
	for _, s := range []string{"ann@example.com", " A@B ", "<a@b>", `"a"@b`, "a@[127.0.0.1]", "İ@b", "ſ@K", "a@b\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		email, err := NormalizeEmail(s)
		if err != nil {
			return
		}
		if again, err := NormalizeEmail(email); err != nil || again != email {
			t.Errorf("NormalizeEmail(%q) = %q, and of that %q, %v", s, email, again, err)
		}
		if len(email) > 254 || strings.ContainsAny(email, " <>\"(),;\r\n\x00") || !strings.Contains(email, "@") {
			t.Errorf("NormalizeEmail(%q) = %q", s, email)
		}
	})
}

func TestNormalizeEmailCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		email := rapid.StringMatching(`[A-Za-z0-9.+_-]{1,20}@[A-Za-z0-9]{1,20}(\.[A-Za-z0-9]{1,9}){0,3}`).Draw(t, "email")
		lower, err1 := NormalizeEmail(strings.ToLower(email))
		upper, err2 := NormalizeEmail("  " + strings.ToUpper(email) + " ")
		if lower != upper || (err1 == nil) != (err2 == nil) {
			t.Errorf("%q: %q, %v and %q, %v", email, lower, err1, upper, err2)
		}
	})
}

func TestNewUser(t *testing.T) {
	u, err := NewUser(t.Context(), " Ann@Example.com", "a passphrase", Admin)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := CheckPassword(t.Context(), u.PasswordHash, "a passphrase"); !ok || err != nil {
		t.Errorf("the password is not the user's: %v", err)
	}
	if age := time.Since(u.CreatedAt); age < 0 || age > time.Minute {
		t.Errorf("created %v ago", age)
	}
	want := User{
		ID: u.ID, Email: "ann@example.com", PasswordHash: u.PasswordHash, Role: Admin,
		CreatedAt: u.CreatedAt.UTC().Truncate(time.Microsecond),
	}
	if u != want || len(u.ID) != 36 || u.ID[14] != '7' {
		t.Errorf("NewUser = %+v, want %+v", u, want)
	}
	for _, test := range []struct {
		email, password string
		role            Role
		want            string
	}{
		{"ann", "a passphrase", Admin, "address"},
		{"ann@example.com", "1234567", Admin, "password"},
		{"ann@example.com", "a passphrase", "root", `"admin" or "user"`},
		{"ann@example.com", "a passphrase", "", "role"},
	} {
		var invalid Invalid
		_, err := NewUser(t.Context(), test.email, test.password, test.role)
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewUser(%q, %q, %q): %v", test.email, test.password, test.role, err)
		}
	}
	for range cap(hashing) { // no place to hash
		hashing <- struct{}{}
		defer func() { <-hashing }()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewUser(ctx, "ann@example.com", "a passphrase", Admin); !errors.Is(err, context.Canceled) {
		t.Errorf("NewUser with a cancelled context: %v", err)
	}
}

// TestNames: real names are names, and what nobody can see or what turns the writing
// around is not.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"👩‍💻 laptop": "", "👨‍👩‍👧": "", "❤️": "", "山田\u3000太郎": "", "می\u200cخواهم": "", "Jean\u00a0Luc": "", "naïve café": "", "ключ": "",
		"a\nb": "printed", "a\tb": "printed", "a\x00b": "printed", "a\u202eb": "printed", "a\u2066b": "printed", "a\u200eb": "printed",
		"a\u2028b": "printed", "a\ufeffb": "printed", "a\xffb": "printed", "a\U000e0041": "printed", "\u200d\u200c": "visible", " \u3000 ": "empty",
	} {
		got, err := keyName(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err == nil && got != name {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
	}
}
