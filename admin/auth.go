package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/internal/uuidv7"
)

// tokens signs and verifies the tokens that a login returns: a JWT (RFC 7519) with
// the user's ID and its own, signed with HMAC-SHA-256 and no other algorithm, by
// the key that its kid names.
type tokens struct {
	keys     *identity.Keyring
	lifetime time.Duration
	parser   *jwt.Parser
}

// claims is the content of a token.
type claims struct {
	jwt.RegisteredClaims
	// Epoch is the user's TokenEpoch when they logged in.
	Epoch int64 `json:"epoch"`
}

// The issuer and the audience of the tokens.
const (
	issuer   = "tallygate"
	audience = "tallygate-admin"
)

func newTokens(keys *identity.Keyring, lifetime time.Duration) tokens {
	return tokens{keys, lifetime, jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithStrictDecoding(),
	)}
}

// sign returns a token for a user. An error comes from the store.
func (t tokens) sign(ctx context.Context, u identity.User) (string, error) {
	key, err := t.keys.Current(ctx)
	if err != nil {
		return "", storeFault(err)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{jwt.RegisteredClaims{
		ID:        uuidv7.New(time.Now()).String(),
		Issuer:    issuer,
		Audience:  jwt.ClaimStrings{audience},
		Subject:   u.ID,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(t.lifetime)),
	}, u.TokenEpoch})
	token.Header["kid"] = key.ID
	return token.SignedString(key.Secret)
}

// read returns a token's claims if it is one of ours and has not expired. An error
// is a *problem.
func (t tokens) read(ctx context.Context, token string) (c claims, err error) {
	var storeErr error
	_, err = t.parser.ParseWithClaims(token, &c, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		key, known, err := t.keys.ByID(ctx, kid)
		if storeErr = err; err != nil || !known {
			return nil, jwt.ErrTokenUnverifiable
		}
		return key.Secret, nil
	})
	switch {
	case storeErr != nil:
		return c, storeFault(storeErr)
	case errors.Is(err, jwt.ErrTokenExpired):
		return c, unauthorized(tokenExpired)
	case err != nil || c.ID == "" || c.Subject == "":
		return c, unauthorized(tokenInvalid)
	}
	return c, nil
}

// The messages of each 401. A failed login does not say why it failed.
const (
	tokenMissing  = "log in first: POST /api/auth/login, then send its access_token in the header Authorization: Bearer <access_token>"
	tokenInvalid  = "the token is not valid: log in at POST /api/auth/login and send its access_token"
	tokenExpired  = "the token has expired: log in again at POST /api/auth/login"
	loginRejected = "wrong email address or password"
)

// caller returns the owner of a request's token, and the token's claims. It asks
// the store each time, so that disabling a user, logging out or changing the
// password takes effect at once.
func (a *API) caller(ctx context.Context, h http.Header) (u identity.User, c claims, err error) {
	sent := h.Values("Authorization")
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if len(sent) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return u, c, unauthorized(tokenMissing)
	}
	if c, err = a.tokens.read(ctx, token); err != nil {
		return u, c, err
	}
	u, err = a.store.Session(ctx, c.Subject, c.ID, c.Epoch)
	return u, c, storeProblem(err, unauthorized(tokenInvalid))
}
