// Package identity has the users, their API keys, what a key may do (its scopes
// and limits), how each is proven (argon2id for passwords, SHA-256 for keys), and
// the Store interface that all of it is kept in. It knows neither Caddy nor a
// database driver. Stores live in sub-packages and pass identitytest.Run.
//
// # Keys
//
// A key is made by KeyFormat.Issue, with a mark that the operator chooses, and
// stored as its digest. WellFormed reports whether a string can be a key at all,
// without a lookup. Store.RotateKey replaces a key by a KeyFormat.Replacement; the
// old key goes on working until an overlap ends. Store.CreateKeyOnce, with
// Idempotency, makes creating a key safe to repeat. Scope says which tools a key
// may call; Limits, how often.
//
// # Checking calls
//
// Package authn finds whose key is presented, and package quota lets a call in or
// says which limit it would exceed:
//
//	principal, denial, err := authority.Authenticate(ctx, key, clientAddr)
//	// err: 503; denial: 401
//	if !principal.Scope.AllowsTool(server, tool) { … }
//	permit, err := limiter.Acquire(ctx,
//		quota.Subject{ID: principal.KeyID, Limits: principal.Limits},
//		quota.Subject{ID: principal.UserID, Limits: principal.UserLimits})
//	// 429 for a *quota.Exceeded, with its RetryAfter
//	defer permit.Release()
//	permit.Records(n) // when the result has been metered
//
// Every change to a user or key goes through the Authority, so that it takes
// effect on the next call.
//
// # People
//
// NewUser, NewInvite and HashPassword make what the Store keeps. A token of the
// admin API is signed with Keyring.Current. It names its user, the user's
// TokenEpoch and an ID of its own; Store.Session decides whether it is valid.
// Logging out is RevokeToken. A changed password and a disabled user end all
// sessions.
//
// # Audit
//
// A caller that makes a change puts WithActor into the context: the Store writes
// a row for it in the transaction of the change.
package identity
