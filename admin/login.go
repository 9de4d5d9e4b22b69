package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// loginAnswer is a token in the form of RFC 6749 section 5.1.
type loginAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

func (a *API) login(ctx context.Context, r request) (int, any, error) {
	email, password, err := r.credentials()
	if err != nil {
		return 0, nil, err
	}
	u, known, err := a.guardedCheck(ctx, r, email, password)
	if err != nil {
		return 0, nil, err
	}
	if !known {
		return 0, nil, unauthorized(loginRejected)
	}
	a.throttle.succeeded(r.remoteAddr, email)
	entry := loginEntry(identity.LoggedIn, u, email)
	entry.Actor = r.actor(u)
	if err := a.store.Audit(ctx, entry); err != nil {
		return 0, nil, storeFault(err)
	}
	return a.token(ctx, u)
}

// loginEntry returns an entry of the audit log about a login with an email address.
// The user is zero if no account has that address.
func loginEntry(action identity.Action, u identity.User, email string) identity.AuditEntry {
	return identity.AuditEntry{Action: action, UserID: u.ID, TargetID: u.ID, Target: email}
}

// credentials returns the fields email and password of a body.
func (r request) credentials() (email, password string, err error) {
	if email, err = r.body.email("email"); err != nil {
		return "", "", err
	}
	password, err = r.body.text("password")
	return email, password, err
}

func (a *API) token(ctx context.Context, u identity.User) (int, any, error) {
	token, err := a.tokens.sign(ctx, u)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, loginAnswer{token, "bearer", int(a.tokens.lifetime.Seconds())}, nil
}

// guardedCheck is userByPassword with a limit on failures. A failure is recorded
// in the audit log.
func (a *API) guardedCheck(ctx context.Context, r request, email, password string) (u identity.User, known bool, err error) {
	client := a.throttle.clients.of(clientNetwork(r.remoteAddr))
	wait, err := client.enter(ctx)
	switch {
	case err != nil:
		return u, false, busy(err)
	case wait > 0:
		return u, false, tooMany("too many failed logins from this client", wait)
	}
	failed := false
	defer func() { client.leave(failed) }()

	end, wait, err := a.throttle.begin(ctx, r.remoteAddr, email)
	switch {
	case err != nil:
		return u, false, busy(err)
	case wait > 0:
		return u, false, tooMany("too many failed logins for this email address", wait)
	}
	u, known, err = a.userByPassword(ctx, email, password)
	failed = err == nil && !known
	end(failed)
	if failed {
		if err := a.store.Audit(ctx, loginEntry(identity.LoginFailed, u, email)); err != nil {
			return u, false, storeFault(err)
		}
	}
	return u, known, err
}

// userByPassword returns the user with an email address, and reports whether the
// password is right and the user may log in. It takes the same time for every
// reason of a failure, so that the time does not tell which one it was.
func (a *API) userByPassword(ctx context.Context, email, password string) (u identity.User, known bool, err error) {
	u, err = a.store.UserByEmail(ctx, email)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		err = identity.CheckNobody(ctx, password)
	case err != nil:
		return u, false, storeFault(err)
	default:
		known, err = identity.CheckPassword(ctx, u.PasswordHash, password)
		known = known && !u.Disabled
	}
	if isContextError(err) {
		err = busy(err)
	}
	return u, known, err
}

func (a *API) me(_ context.Context, r request) (int, any, error) {
	return http.StatusOK, session{shownUser(r.caller), r.token.ExpiresAt.UTC()}, nil
}

// session is the caller, and when their token expires.
type session struct {
	userAnswer
	TokenExpiresAt time.Time `json:"token_expires_at"`
}

func (a *API) logout(ctx context.Context, r request) (int, any, error) {
	if err := a.store.RevokeToken(ctx, r.caller.ID, r.token.ID, r.token.ExpiresAt.Time); err != nil {
		return 0, nil, storeFault(err)
	}
	return http.StatusNoContent, nil, nil
}

func (a *API) endOwnSessions(ctx context.Context, r request) (int, any, error) {
	return a.endSessions(ctx, r.caller.ID)
}

// changePassword ends all sessions of the caller, and starts a new one.
func (a *API) changePassword(ctx context.Context, r request) (int, any, error) {
	current, err := r.body.text("current_password")
	if err != nil {
		return 0, nil, err
	}
	fresh, err := r.body.text("new_password")
	if err != nil {
		return 0, nil, err
	}
	_, known, err := a.guardedCheck(ctx, r, r.caller.Email, current)
	if err != nil {
		return 0, nil, err
	}
	if !known {
		return 0, nil, &problem{status: http.StatusForbidden, code: "wrong_password", message: "current_password is not your password"}
	}
	hash, err := a.hash(ctx, "new_password", fresh)
	if err != nil {
		return 0, nil, err
	}
	if err := a.store.SetPassword(ctx, r.caller.ID, hash); err != nil {
		return 0, nil, storeFault(err)
	}
	u, err := a.store.User(ctx, r.caller.ID)
	if err != nil {
		return 0, nil, storeFault(err)
	}
	return a.token(ctx, u)
}

// hash hashes a new password. field is its name in the request.
func (a *API) hash(ctx context.Context, field, password string) (string, error) {
	hash, err := identity.HashPassword(ctx, password)
	switch {
	case isContextError(err):
		return "", busy(err)
	case err != nil:
		return "", invalidField(field, err)
	}
	return hash, nil
}

// register creates an account for the sender, if the operator allows that.
func (a *API) register(ctx context.Context, r request) (int, any, error) {
	if !a.open {
		return 0, nil, &problem{
			status: http.StatusForbidden, code: "registration_closed",
			message: "nobody can register here: ask an admin for an invitation",
		}
	}
	email, password, err := r.credentials()
	if err != nil {
		return 0, nil, err
	}
	client := a.throttle.registers.of(clientNetwork(r.remoteAddr))
	wait, err := client.enter(ctx)
	switch {
	case err != nil:
		return 0, nil, busy(err)
	case wait > 0:
		return 0, nil, tooMany("too many registrations from this client", wait)
	}
	defer client.leave(true)
	return a.newUser(ctx, email, password, identity.Member, func(u *identity.User) context.Context {
		return identity.WithActor(ctx, r.actor(*u))
	})
}

// rotateSigningKey creates a new key for signing tokens. With retire, the tokens
// signed by earlier keys become invalid, so that everyone has to log in again.
func (a *API) rotateSigningKey(ctx context.Context, r request) (int, any, error) {
	retire, err := r.body.boolean("retire")
	if err != nil {
		return 0, nil, err
	}
	err = a.keyring.Rotate(ctx, retire)
	if fixed, ok := errors.AsType[identity.Invalid](err); ok {
		return 0, nil, conflict("signing_key_fixed", fixed)
	}
	if err != nil {
		return 0, nil, storeFault(err)
	}
	return http.StatusNoContent, nil, nil
}
