package admin

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
)

const otherPassword = "tr0ub4dor and three more words"

// login logs in and returns the token.
func (w *world) login(t testing.TB, email, password string) string {
	t.Helper()
	return into[loginAnswer](t, w.do(t, "POST", "/api/auth/login", nil, `{"email":"`+email+`","password":"`+password+`"}`), 200).AccessToken
}

// bearer is the header of a token.
func bearer(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}}
}

// works reports whether a token is valid.
func (w *world) works(t testing.TB, token string) bool {
	t.Helper()
	return w.do(t, "GET", "/api/auth/me", bearer(token), "").status == 200
}

func TestInvitation(t *testing.T) {
	w := newWorld(t)
	made := into[newInvite](t, w.as(t, w.root, "POST", "/api/users/invite",
		`{"email":" Cleo@Example.com ","role":"admin","limits":{"calls_per_day":5},"expires_hours":1}`), 201)
	if made.Email != "cleo@example.com" || made.Role != identity.Admin || made.ExpiresAt.Sub(made.CreatedAt) != time.Hour {
		t.Errorf("the invitation is %+v", made)
	}
	if made.URL != w.server.URL+"/invite#"+made.Token {
		t.Errorf("the link is %q", made.URL)
	}
	listed := into[items[inviteItem]](t, w.as(t, w.root, "GET", "/api/users/invites/list", ""), 200).Items
	if len(listed) != 1 || listed[0].ID != made.ID || listed[0].Expired {
		t.Errorf("the list is %+v", listed)
	}

	accept := func(token, password string) answer {
		return w.do(t, "POST", "/api/auth/accept-invite", nil, `{"token":"`+token+`","password":"`+password+`"}`)
	}
	refused(t, accept(made.Token, "short"), 400, "invalid_request", "password: the password must have 8 to 1024 bytes")
	refused(t, accept(made.Token+"x", otherPassword), 404, "not_found", "the invitation is not valid")
	refused(t, accept(made.ID, otherPassword), 404, "not_found", "the invitation is not valid")

	u := into[userAnswer](t, accept(made.Token, otherPassword), 201)
	if u.Email != "cleo@example.com" || u.Role != identity.Admin || *u.Limits["calls_per_day"] != 5 {
		t.Errorf("the user is %+v", u)
	}
	refused(t, accept(made.Token, otherPassword), 404, "not_found", "the invitation is not valid")
	if n := len(into[items[inviteItem]](t, w.as(t, w.root, "GET", "/api/users/invites/list", ""), 200).Items); n != 0 {
		t.Errorf("%d invitations are listed after it was accepted", n)
	}
	me := into[session](t, w.do(t, "GET", "/api/auth/me", bearer(w.login(t, "cleo@example.com", otherPassword)), ""), 200)
	if me.ID != u.ID {
		t.Errorf("cleo is %+v", me)
	}
	if strings.Contains(w.log.String(), made.Token) {
		t.Error("the log holds the token")
	}
}

func TestInvitationsReplacedAndWithdrawn(t *testing.T) {
	w := newWorld(t)
	invite := func() newInvite {
		return into[newInvite](t, w.as(t, w.root, "POST", "/api/users/invite", `{"email":"cleo@example.com"}`), 201)
	}
	accept := func(i newInvite) answer {
		return w.do(t, "POST", "/api/auth/accept-invite", nil, `{"token":"`+i.Token+`","password":"`+otherPassword+`"}`)
	}
	first, second := invite(), invite()
	refused(t, accept(first), 404, "not_found", "replaced")
	if w.as(t, w.root, "POST", "/api/users/invites/withdraw", `{"invite_id":"`+second.ID+`"}`).status != 204 {
		t.Error("it could not be withdrawn")
	}
	refused(t, accept(second), 404, "not_found", "withdrawn")
	for _, id := range []string{first.ID, second.ID, uuid.NewString(), "nonsense"} {
		refused(t, w.as(t, w.root, "POST", "/api/users/invites/withdraw", `{"invite_id":"`+id+`"}`), 404, "not_found", "there is no open invitation")
	}

	// The user is created in another way before the invitation is accepted.
	third := invite()
	w.addUser(t, "cleo@example.com", identity.Member)
	refused(t, accept(third), 409, "email_taken", "a user with this address exists already")
	refused(t, w.as(t, w.root, "POST", "/api/users/invite", `{"email":"cleo@example.com"}`), 409, "email_taken", "exists already")

	// An expired invitation is listed as such, and cannot be used.
	i, token, err := identity.NewInvite("dana@example.com", identity.Member, identity.Limits{}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.CreateInvite(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	for i.Open(time.Now()) {
		time.Sleep(time.Millisecond)
	}
	refused(t, accept(newInvite{Token: token}), 404, "not_found", "expired")
	if listed := into[items[inviteItem]](t, w.as(t, w.root, "GET", "/api/users/invites/list", ""), 200).Items; !listed[0].Expired {
		t.Errorf("the list is %+v", listed)
	}
}

// TestBaseURL: behind a proxy, links use the operator's base URL.
func TestBaseURL(t *testing.T) {
	w := newWorld(t)
	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger, Secret: secret, BaseURL: "https://keys.example.com/"})
	got := into[newInvite](t, w.as(t, w.root, "POST", "/api/users/invite", `{"email":"cleo@example.com"}`), 201)
	if got.URL != "https://keys.example.com/invite#"+got.Token {
		t.Errorf("the link is %q", got.URL)
	}
}

func TestUsers(t *testing.T) {
	w := newWorld(t)
	cleo := into[userAnswer](t, w.as(t, w.root, "POST", "/api/users/create",
		`{"email":"Cleo@example.com","password":"`+otherPassword+`","limits":{"calls_per_minute":60}}`), 201)
	if cleo.Email != "cleo@example.com" || cleo.Role != identity.Member || cleo.Disabled || *cleo.Limits["calls_per_minute"] != 60 {
		t.Errorf("the user is %+v", cleo)
	}
	refused(t, w.as(t, w.root, "POST", "/api/users/create", `{"email":"CLEO@example.com","password":"`+otherPassword+`"}`), 409, "email_taken", "exists already")
	token := w.login(t, cleo.Email, otherPassword)
	key := into[createdKey](t, w.do(t, "POST", "/api/mcp-keys/create", bearer(token), `{"key_name":"a"}`), 201)
	authority := w.store
	principal := func() (*authn.Principal, bool) {
		p, _, err := authority.Authenticate(t.Context(), key.Key, clientAddr)
		live := p != nil
		if err != nil {
			t.Fatal(err)
		}
		return p, live
	}
	if p, live := principal(); !live || p.UserLimits.CallsPerMinute != 60 {
		t.Errorf("the key gets %+v, %t", p, live)
	}

	change := func(what, fields string) userAnswer {
		t.Helper()
		return into[userAnswer](t, w.as(t, w.root, "POST", "/api/users/"+what, `{"user_id":"`+cleo.ID+`"`+fields+`}`), 200)
	}
	if u := change("limits", `,"limits":{"calls_per_day":9}`); u.Limits["calls_per_minute"] != nil || *u.Limits["calls_per_day"] != 9 {
		t.Errorf("the limits are %+v", u.Limits)
	}
	if p, _ := principal(); p.UserLimits != (identity.Limits{CallsPerDay: 9}) {
		t.Errorf("the limits over all keys are %+v", p.UserLimits)
	}
	if u := change("limits", `,"limits":null`); !maps.EqualFunc(u.Limits, showLimits(identity.Limits{}), func(a, b *int64) bool { return a == b }) {
		t.Errorf("the limits are %+v", u.Limits)
	}
	if !w.works(t, token) {
		t.Error("limits ended the session")
	}
	refused(t, w.do(t, "GET", "/api/users/list", bearer(token), ""), 403, "forbidden", "only an admin")
	if u := change("role", `,"role":"admin"`); u.Role != identity.Admin {
		t.Errorf("the role is %q", u.Role)
	}
	if got := into[items[userAnswer]](t, w.do(t, "GET", "/api/users/list", bearer(token), ""), 200).Items; len(got) != 4 || got[3].ID != cleo.ID {
		t.Errorf("the list is %+v", got)
	}
	if u := change("disable", ""); !u.Disabled {
		t.Error("cleo is not disabled")
	}
	if _, live := principal(); live || w.works(t, token) {
		t.Errorf("of a disabled user, the key works: %t, the token works: %t", live, w.works(t, token))
	}
	if u := change("enable", ""); u.Disabled {
		t.Error("cleo is disabled")
	}
	if _, live := principal(); !live || w.works(t, token) {
		t.Errorf("of a user enabled again, the key works: %t, the old token works: %t", live, w.works(t, token))
	}
	token = w.login(t, cleo.Email, otherPassword)
	if got := w.as(t, w.root, "POST", "/api/users/sessions/end", `{"user_id":"`+cleo.ID+`"}`); got.status != 204 || w.works(t, token) {
		t.Errorf("status %d, and the token works: %t", got.status, w.works(t, token))
	}
}

func TestLastAdmin(t *testing.T) {
	w := newWorld(t)
	me := `{"user_id":"` + w.root.ID + `"`
	refused(t, w.as(t, w.root, "POST", "/api/users/disable", me+`}`), 409, "last_admin", "the last admin")
	refused(t, w.as(t, w.root, "POST", "/api/users/role", me+`,"role":"user"}`), 409, "last_admin", "the last admin")
	into[userAnswer](t, w.as(t, w.root, "POST", "/api/users/role", `{"user_id":"`+w.ana.ID+`","role":"admin"}`), 200)
	into[userAnswer](t, w.as(t, w.root, "POST", "/api/users/role", me+`,"role":"user"}`), 200)
	refused(t, w.as(t, w.root, "GET", "/api/users/list", ""), 403, "forbidden", "only an admin")
}

func TestUsersRefused(t *testing.T) {
	w := newWorld(t)
	id := `"user_id":"` + w.ana.ID + `"`
	for _, c := range []struct{ path, body, words string }{
		{"users/create", `{"email":"c@example.com"}`, "password is missing"},
		{"users/create", `{"password":"` + otherPassword + `"}`, "email is missing"},
		{"users/create", `{"email":"c@example.com","password":"short"}`, "password: the password must have 8"},
		{"users/create", `{"email":"c@example.com","password":"` + strings.Repeat("x", 1025) + `"}`, "password: the password must have 8 to 1024"},
		{"users/create", `{"email":"c","password":"` + otherPassword + `"}`, "email: the email address is not valid"},
		{"users/create", `{"email":"c@example.com","password":"` + otherPassword + `","role":"root"}`, `role: the role is "root"`},
		{"users/create", `{"email":"c@example.com","password":"` + otherPassword + `","disabled":true}`, `unknown field "disabled"`},
		{"users/create", `{"email":"c@example.com","password":"` + otherPassword + `","limits":{"calls":1}}`, "limits: unknown field"},
		{"users/invite", `{"email":7}`, "email must be a string"},
		{"users/invite", `{"email":"c@example.com","role":"ADMIN"}`, `role: the role is "ADMIN"`},
		{"users/invite", `{"email":"c@example.com","expires_hours":0}`, "expires_hours must be a whole number from 1 to 720"},
		{"users/invite", `{"email":"c@example.com","expires_hours":721}`, "expires_hours must be"},
		{"users/invite", `{"email":"c@example.com","password":"x"}`, `unknown field "password"`},
		{"users/invites/withdraw", `{}`, "invite_id is missing"},
		{"users/role", `{` + id + `}`, "role is missing"},
		{"users/role", `{` + id + `,"role":""}`, "role is empty"},
		{"users/role", `{"role":"user"}`, "user_id is missing"},
		{"users/limits", `{` + id + `}`, "limits is missing"},
		{"users/limits", `{` + id + `,"limits":{"burst":1}}`, "limits: a burst"},
		{"users/disable", `{"user_id":true}`, "user_id must be a string, not a boolean"},
		{"users/enable", `{` + id + `,"x":1}`, `unknown field "x"`},
		{"users/sessions/end", `[]`, "must be a JSON object"},
	} {
		refused(t, w.as(t, w.root, "POST", "/api/"+c.path, c.body), 400, "invalid_request", c.words)
	}
	for _, path := range []string{"disable", "enable", "role", "limits", "sessions/end"} {
		fields := map[string]string{"role": `,"role":"user"`, "limits": `,"limits":null`}[path]
		for _, id := range []string{uuid.NewString(), "nonsense", w.ana.Email} {
			refused(t, w.as(t, w.root, "POST", "/api/users/"+path, `{"user_id":"`+id+`"`+fields+`}`), 404, "not_found", `there is no user with the user_id`)
		}
	}
	// Other users may not use the admins' routes, and learn nothing from them.
	for _, rt := range w.api.endpoints() {
		if rt.access == forAdmins {
			refused(t, w.as(t, w.ana, rt.method, rt.path, `{"user_id":"`+w.ben.ID+`"}`), 403, "forbidden", "only an admin")
			refused(t, w.do(t, rt.method, rt.path, nil, `{}`), 401, "unauthorized", "log in first")
		}
	}
}

func TestRegistration(t *testing.T) {
	w := newWorld(t)
	register := func(email, password string) answer {
		return w.do(t, "POST", "/api/auth/register", nil, `{"email":"`+email+`","password":"`+password+`"}`)
	}
	refused(t, register("cleo@example.com", otherPassword), 403, "registration_closed", "ask an admin for an invitation")

	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger, Secret: secret, Registration: true})
	u := into[userAnswer](t, register("Cleo@example.com", otherPassword), 201)
	if u.Email != "cleo@example.com" || u.Role != identity.Member {
		t.Errorf("the user is %+v", u)
	}
	w.login(t, "cleo@example.com", otherPassword)
	refused(t, register("cleo@example.com", otherPassword), 409, "email_taken", "exists already")
	refused(t, register("dana@example.com", "short"), 400, "invalid_request", "password: the password must have 8")
	refused(t, register("dana", otherPassword), 400, "invalid_request", "email: the email address is not valid")
	for range registerAllowance.burst - 3 { // the malformed address did not count
		refused(t, register("cleo@example.com", "short"), 400, "invalid_request", "password")
	}
	refused(t, register("dana@example.com", otherPassword), 429, "too_many_requests", "too many registrations from this client")
}

func TestPasswordChange(t *testing.T) {
	w := newWorld(t)
	before, other := w.login(t, w.ana.Email, password), w.login(t, w.ana.Email, password)
	change := func(current, fresh string) answer {
		return w.do(t, "POST", "/api/auth/password", bearer(before), `{"current_password":"`+current+`","new_password":"`+fresh+`"}`)
	}
	refused(t, change("wrong", otherPassword), 403, "wrong_password", "current_password is not your password")
	refused(t, change(password, "short"), 400, "invalid_request", "new_password: the password must have 8")
	refused(t, change(password, ""), 400, "invalid_request", "new_password is empty")
	after := into[loginAnswer](t, change(password, otherPassword), 200).AccessToken
	if w.works(t, before) || w.works(t, other) || !w.works(t, after) {
		t.Errorf("works: the token before %t, another before %t, the new one %t", w.works(t, before), w.works(t, other), w.works(t, after))
	}
	refused(t, w.do(t, "POST", "/api/auth/login", nil, `{"email":"ana@example.com","password":"`+password+`"}`), 401, "unauthorized", "wrong email address or password")
	w.login(t, w.ana.Email, otherPassword)
}

// TestPasswordGuessesCount: a stolen token does not allow guessing the password
// faster than by logging in.
func TestPasswordGuessesCount(t *testing.T) {
	w := newWorld(t)
	token := w.login(t, w.ana.Email, password)
	guess := func() answer {
		return w.do(t, "POST", "/api/auth/password", bearer(token), `{"current_password":"wrong","new_password":"`+otherPassword+`"}`)
	}
	for range failureBurst {
		refused(t, guess(), 403, "wrong_password", "not your password")
	}
	for { // until the pace of the machine does not forgive any
		if got := guess(); got.status == 429 {
			refused(t, got, 429, "too_many_requests", "too many failed logins for this email address")
			break
		}
	}
}

// TestInvitationsAtOnce: if several accept one invitation in parallel, one succeeds.
func TestInvitationsAtOnce(t *testing.T) {
	w := newWorld(t)
	acceptAtOnce(t, w, 6)
}

func acceptAtOnce(t *testing.T, w *world, n int) {
	t.Helper()
	made := into[newInvite](t, w.as(t, w.root, "POST", "/api/users/invite", `{"email":"cleo@example.com"}`), 201)
	served := make(chan int, n)
	var g errgroup.Group
	for range n {
		g.Go(func() error {
			served <- w.send(t, "POST", "/api/auth/accept-invite", nil, `{"token":"`+made.Token+`","password":"`+otherPassword+`"}`).status
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	close(served)
	got := map[int]int{}
	for status := range served {
		got[status]++
	}
	if diff := cmp.Diff(map[int]int{201: 1, 404: n - 1}, got); diff != "" {
		t.Errorf("answers differ:\n%s", diff)
	}
}

// TestOddAddress: a user is found by an address with unusual characters.
func TestOddAddress(t *testing.T) {
	w := newWorld(t)
	u := into[userAnswer](t, w.as(t, w.root, "POST", "/api/users/create", `{"email":"a+b%'&c@example.com","password":"`+otherPassword+`"}`), 201)
	got := into[items[keyItem]](t, w.as(t, w.root, "GET", "/api/mcp-keys/list?user="+url.QueryEscape(u.Email), ""), 200)
	if len(got.Items) != 0 {
		t.Errorf("the list is %+v", got)
	}
}
