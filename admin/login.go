package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// loginAnswer is a token in the form of RFC 6749 section 5.1.
type loginAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

func (a *API) login(ctx context.Context, r *request) (any, error) {
	email, password := r.body.email(), r.body.text("password")
	if r.body.err != nil {
		return nil, r.body.err
	}
	u, known, err := a.guardedCheck(ctx, r, email, password)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, unauthorized(loginRejected)
	}
	entry := loginEntry(identity.LoggedIn, u, email)
	entry.Actor = r.actor(u)
	if err := a.store.Audit(ctx, entry); err != nil {
		return nil, storeFault(err)
	}
	return a.token(ctx, u)
}

// loginEntry returns an entry of the audit log about a login with an email address.
// The user is zero if no account has that address.
func loginEntry(action identity.Action, u identity.User, email string) identity.AuditEntry {
	return identity.AuditEntry{Action: action, UserID: u.ID, TargetID: u.ID, Target: email}
}

func (a *API) token(ctx context.Context, u identity.User) (any, error) {
	token, err := a.tokens.sign(ctx, u)
	return loginAnswer{token, "bearer", int(a.tokens.lifetime.Seconds())}, err
}

// guardedCheck returns the user with an email address, and reports whether the
// password is right and the user may log in. It limits failures, and records each
// in the audit log.
func (a *API) guardedCheck(ctx context.Context, r *request, email, password string) (u identity.User, known bool, err error) {
	u, err = a.store.UserByEmail(ctx, email)
	exists := err == nil
	if err != nil && !errors.Is(err, identity.ErrNotFound) {
		return u, false, storeFault(err)
	}
	client := clientNetwork(r.remoteAddr)
	expected, err := a.hasLoggedIn(ctx, u, client)
	if err != nil {
		return u, false, err
	}
	end, wait, err := a.throttle.begin(ctx, client, email, expected)
	if err := throttled("too many failed logins for this email address", wait, err); err != nil {
		return u, false, err
	}
	known, err = mayLogIn(ctx, u, exists, password)
	failed := err == nil && !known
	end(failed)
	switch {
	case isContextError(err):
		err = busy(err)
	case failed:
		err = storeProblem(a.store.Audit(ctx, loginEntry(identity.LoginFailed, u, email)), nil)
	}
	return u, known, err
}

// mayLogIn reports whether the password is a user's and they may log in. It takes
// the same time for every reason of a failure, so that the time does not tell which
// one it was.
func mayLogIn(ctx context.Context, u identity.User, exists bool, password string) (bool, error) {
	if !exists {
		return false, identity.CheckNobody(ctx, password)
	}
	right, err := identity.CheckPassword(ctx, u.PasswordHash, password)
	return right && !u.Disabled, err
}

const (
	knownFor    = 90 * 24 * time.Hour
	knownLogins = 200
)

// hasLoggedIn reports whether one of the last logins of a user came from a client's
// network. The audit log has them, so that all replicas know and a restart forgets
// nothing.
func (a *API) hasLoggedIn(ctx context.Context, u identity.User, client string) (bool, error) {
	logins, err := a.store.AuditLog(ctx, identity.AuditQuery{
		UserID: cmp.Or(u.ID, "nobody"), // takes the same time
		Action: identity.LoggedIn, From: time.Now().Add(-knownFor), Limit: knownLogins,
	})
	if err != nil {
		return false, storeFault(err)
	}
	return slices.ContainsFunc(logins, func(e identity.AuditEntry) bool { return networkOf(e.IP) == client }), nil
}

func (a *API) me(_ context.Context, r *request) (any, error) {
	return session{shownUser(r.caller), r.token.ExpiresAt.UTC()}, nil
}

// session is the caller, and when their token expires.
type session struct {
	userAnswer
	TokenExpiresAt time.Time `json:"token_expires_at"`
}

func (a *API) logout(ctx context.Context, r *request) (any, error) {
	return nil, storeProblem(a.store.RevokeToken(ctx, r.caller.ID, r.token.ID, r.token.ExpiresAt.Time), nil)
}

func (a *API) endOwnSessions(ctx context.Context, r *request) (any, error) {
	return nil, storeProblem(a.store.EndSessions(ctx, r.caller.ID), nil)
}

// changePassword ends all sessions of the caller, and starts a new one.
func (a *API) changePassword(ctx context.Context, r *request) (any, error) {
	current, fresh := r.body.text("current_password"), r.body.text("new_password")
	if r.body.err != nil {
		return nil, r.body.err
	}
	_, known, err := a.guardedCheck(ctx, r, r.caller.Email, current)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, &problem{status: http.StatusForbidden, code: "wrong_password", message: "current_password is not your password"}
	}
	hash, err := identity.HashPassword(ctx, fresh, r.caller.Email)
	if err != nil {
		return nil, passwordProblem("new_password", err)
	}
	if err := a.store.SetPassword(ctx, r.caller.ID, hash); err != nil {
		return nil, storeFault(err)
	}
	u, err := a.store.User(ctx, r.caller.ID)
	if err != nil {
		return nil, storeFault(err)
	}
	return a.token(ctx, u)
}

// register creates an account for the sender, if the operator allows that.
func (a *API) register(ctx context.Context, r *request) (any, error) {
	if !a.open {
		return nil, &problem{
			status: http.StatusForbidden, code: "registration_closed",
			message: "nobody can register here: ask an admin for an invitation",
		}
	}
	email, password := r.body.email(), r.body.text("password")
	if r.body.err != nil {
		return nil, r.body.err
	}
	client := a.throttle.registers.of(clientNetwork(r.remoteAddr))
	wait, err := client.enter(ctx)
	if err := throttled("too many registrations from this client", wait, err); err != nil {
		return nil, err
	}
	defer client.leave(true)
	u, err := identity.NewUser(ctx, email, password, identity.Member)
	if err != nil {
		return nil, passwordProblem("password", err) // the address has been checked
	}
	return shownUser(u), storeProblem(a.store.CreateUser(identity.WithActor(ctx, r.actor(u)), u), nil)
}

// rotateSigningKey creates a new key for signing tokens. With retire, the tokens
// signed by earlier keys become invalid, so that everyone has to log in again.
func (a *API) rotateSigningKey(ctx context.Context, r *request) (any, error) {
	retire := r.body.boolean("retire")
	if r.body.err != nil {
		return nil, r.body.err
	}
	err := a.keyring.Rotate(ctx, retire)
	if fixed, ok := errors.AsType[identity.Invalid](err); ok {
		return nil, &problem{status: http.StatusConflict, code: "signing_key_fixed", message: fixed.Error()}
	}
	return nil, storeProblem(err, nil)
}
