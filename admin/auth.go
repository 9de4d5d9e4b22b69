package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tallygate/tallygate/identity"
)

// tokens signs and checks what a login gives: a JWT (RFC 7519) that names the
// user and nothing else, signed with HMAC-SHA-256 and no other algorithm.
type tokens struct {
	secret   []byte
	lifetime time.Duration
	parser   *jwt.Parser
}

// Who makes the tokens and whom they are for.
const (
	issuer   = "tallygate"
	audience = "tallygate-admin"
)

func newTokens(secret []byte, lifetime time.Duration) tokens {
	return tokens{secret, lifetime, jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithStrictDecoding(),
	)}
}

func (t tokens) sign(userID string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer:    issuer,
		Audience:  jwt.ClaimStrings{audience},
		Subject:   userID,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(t.lifetime)),
	}).SignedString(t.secret)
}

// userID returns whom a token was made for.
func (t tokens) userID(token string) (string, error) {
	var claims jwt.RegisteredClaims
	_, err := t.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return t.secret, nil })
	return claims.Subject, err
}

// The words of each 401. A login that fails does not tell why.
const (
	tokenMissing  = "log in first: POST /api/auth/login, then send its access_token in the header Authorization: Bearer <access_token>"
	tokenInvalid  = "the token is not valid: log in at POST /api/auth/login and send its access_token"
	tokenExpired  = "the token has expired: log in again at POST /api/auth/login"
	loginRejected = "wrong email address or password"
)

// caller returns the user that a request's token belongs to. It asks the store
// each time, so that a user who is disabled is out at once.
func (a *API) caller(ctx context.Context, h http.Header) (identity.User, error) {
	sent := h.Values("Authorization")
	if len(sent) == 0 {
		return identity.User{}, unauthorized(tokenMissing)
	}
	scheme, token, _ := strings.Cut(sent[0], " ")
	if len(sent) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return identity.User{}, unauthorized(tokenMissing)
	}
	userID, err := a.tokens.userID(token)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return identity.User{}, unauthorized(tokenExpired)
	case err != nil:
		return identity.User{}, unauthorized(tokenInvalid)
	}
	u, err := a.store.User(ctx, userID)
	switch {
	case errors.Is(err, identity.ErrNotFound) || err == nil && u.Disabled:
		return identity.User{}, unauthorized(tokenInvalid)
	case err != nil:
		return identity.User{}, storeFault(err)
	}
	return u, nil
}

// loginAnswer is a token in the form of RFC 6749 section 5.1.
type loginAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

func (a *API) login(ctx context.Context, r request) (int, any, error) {
	sent, err := r.body.text("email")
	if err != nil {
		return 0, nil, err
	}
	password, err := r.body.text("password")
	if err != nil {
		return 0, nil, err
	}
	email, err := identity.NormalizeEmail(sent)
	if err != nil {
		return 0, nil, invalid("email: %v", err)
	}

	end, wait, err := a.throttle.begin(ctx, r.remoteAddr, email)
	switch {
	case err != nil:
		return 0, nil, busy(err)
	case wait > 0:
		return 0, nil, tooManyFailures(wait)
	}
	u, known, err := a.userByPassword(ctx, email, password)
	end(err == nil && !known)
	switch {
	case err != nil:
		return 0, nil, err
	case !known:
		return 0, nil, unauthorized(loginRejected)
	}
	token, err := a.tokens.sign(u.ID)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, loginAnswer{token, "bearer", int(a.tokens.lifetime.Seconds())}, nil
}

// userByPassword returns the user who has an address and a password, if there
// is one who may log in. It takes the same time whatever the reason is that
// there is none.
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
