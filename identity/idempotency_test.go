package identity

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestIdempotency(t *testing.T) {
	const key = "5f2e3c1a-8d4b-4e6f-9a7c-1b2d3e4f5a6b"
	again := func(userID, key, request string) *Idempotency {
		t.Helper()
		i, err := NewIdempotency(userID, key, []byte(request))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first := again("ann", key, "request")
	now := time.Now()
	const answer = `{"api_key":"sk-secret"}`
	r := first.Seal([]byte(answer), now)
	if r.UserID != "ann" || r.ID != first.ID() || !r.ExpiresAt.Equal(storable(now.Add(24*time.Hour))) {
		t.Errorf("Seal = %+v", r)
	}
	if bytes.Contains(r.Answer, []byte("secret")) || bytes.Contains(r.Answer, []byte("api_key")) || bytes.Contains(r.Answer, []byte(key)) {
		t.Error("the receipt shows the answer")
	}
	if other := first.Seal([]byte(answer), now); bytes.Equal(other.Answer, r.Answer) {
		t.Error("the same answer is sealed the same way twice")
	}

	if got, err := again("ann", key, "request").Open(r); string(got) != answer || err != nil {
		t.Errorf("Open = %q, %v", got, err)
	}
	if _, err := again("ann", key, "another request").Open(r); !errors.Is(err, ErrOtherRequest) {
		t.Errorf("Open with another request: %v", err)
	}
	for name, other := range map[string]*Idempotency{
		"another user": again("bob", key, "request"), "another key": again("ann", key[1:]+"c", "request"),
	} {
		if other.ID() == first.ID() {
			t.Errorf("%s has the same ID", name)
		}
		if got, err := other.Open(r); err == nil {
			t.Errorf("%s opens it: %q", name, got)
		}
	}
	for i := range r.Answer {
		broken := r
		broken.Answer = bytes.Clone(r.Answer)
		broken.Answer[i] ^= 1
		if _, err := first.Open(broken); err == nil {
			t.Fatalf("opened with byte %d changed", i)
		}
	}
	if _, err := first.Open(Receipt{Request: r.Request}); err == nil {
		t.Error("opened an empty answer")
	}

	for _, key := range []string{"", "short", strings.Repeat("x", 15), strings.Repeat("x", 256), "0123456789 abcdef", "0123456789abcdef\n", "0123456789abcdeé"} {
		var invalid Invalid
		if _, err := NewIdempotency("ann", key, nil); !errors.As(err, &invalid) {
			t.Errorf("NewIdempotency with the key %.20q: %v", key, err)
		}
	}
}
