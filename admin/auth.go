package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	now      func() time.Time
	parser   *jwt.Parser
}

// Who makes the tokens and whom they are for.
const (
	issuer   = "tallygate"
	audience = "tallygate-admin"
)

func newTokens(secret []byte, lifetime time.Duration, now func() time.Time) tokens {
	return tokens{secret, lifetime, now, jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(now),
	)}
}

func (t tokens) sign(userID string) (string, error) {
	now := t.now()
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
	loginRejected = "wrong e-mail address or password"
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
