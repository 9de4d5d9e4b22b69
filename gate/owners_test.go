package gate

import (
	"fmt"
	"testing"
)

// TestOwnersEviction: at the bound, the least recently used entry of the user with
// the most makes room, and what has no owner never does so for what has none.
func TestOwnersEviction(t *testing.T) {
	o := newOwners(4, 2)
	key := func(id string) callKey { return sessionKey("s", id) }
	wantOwner := func(id, want string, known bool) {
		t.Helper()
		if _, user, ok := o.get(key(id)); user != want || ok != known {
			t.Errorf("%s is %q's, known: %t; want %q, %t", id, user, ok, want, known)
		}
	}
	o.add(key("a1"), "ann", owned{tool: "x"})
	for i := range 10 {
		o.add(key(fmt.Sprint("b", i)), "bob", owned{})
	}
	wantOwner("a1", "ann", true)
	wantOwner("b6", "", false)
	wantOwner("b7", "bob", true)
	o.add(key("c1"), "cid", owned{})
	wantOwner("b8", "", false) // b7 has been used after it
	wantOwner("b9", "bob", true)
	wantOwner("b7", "bob", true)
	for i := range 10 {
		o.openSession(key(fmt.Sprint("none", i)), "", clientInfo{"n", "1"})
	}
	wantOwner("none7", "", false)
	wantOwner("none8", "", true)
	for _, id := range []string{"a1", "b7", "b9", "c1"} {
		if _, user, _ := o.get(key(id)); user == "" {
			t.Errorf("%s was pushed out by sessions without an owner", id)
		}
	}
	if v, _, _ := o.get(key("a1")); v.tool != "x" {
		t.Errorf("a1 is %v", v)
	}

	// The first user of a session without an owner becomes its owner.
	if c, ok := o.enterSession(key("none8"), "dan"); !ok || c.name != "n" {
		t.Errorf("the first user gets %v, %t", c, ok)
	}
	for user, want := range map[string]bool{"dan": true, "ann": false, "": false} {
		if _, ok := o.enterSession(key("none8"), user); ok != want {
			t.Errorf("%q enters dan's session: %t", user, ok)
		}
	}
	if _, ok := o.enterSession(key("none9"), ""); !ok {
		t.Error("a session without an owner is closed to messages without a key")
	}
	if n := o.ownerless.Len(); n != 1 || len(o.users) != 4 {
		t.Errorf("there are %d entries without an owner and %d with one", n, len(o.users))
	}
}

// TestStrangersEvictNobody: as many sessions without a key as an attacker could
// open in minutes leave an owner theirs.
func TestStrangersEvictNobody(t *testing.T) {
	o := newOwners(maxOwned, maxUnowned)
	mine := sessionKey("s", "mine")
	o.openSession(mine, "ann", clientInfo{})
	for i := range maxOwned + 8_000 {
		o.openSession(sessionKey("s", fmt.Sprint(i)), "", clientInfo{})
	}
	if _, ok := o.enterSession(mine, "bob"); ok {
		t.Error("the session is anybody's")
	}
	// Nor does one user with as many.
	for i := range maxOwned + 8_000 {
		o.openSession(sessionKey("s", fmt.Sprint(i)), "mallory", clientInfo{})
	}
	if _, ok := o.enterSession(mine, "ann"); !ok || len(o.users) != maxOwned {
		t.Errorf("the owner may use the session: %t; %d entries", ok, len(o.users))
	}
}
