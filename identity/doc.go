// Package identity is who may call: users, their API keys, what a key may do
// (its scopes and limits), how each is proven (argon2id for passwords, SHA-256
// for keys), and the Store interface that all of it is kept in. It knows
// neither Caddy nor a database driver; stores live in sub-packages and pass
// identitytest.Run.
//
// # Keys
//
// A key is made by KeyFormat.Issue, with a mark of the operator's choice, and
// stored as its digest. WellFormed tells what can be a key at all, without a
// look-up. Store.RotateKey puts a KeyFormat.Replacement in the place of a key
// that goes on working until an overlap ends. Store.CreateKeyOnce, with
// Idempotency, makes creating one safe to repeat. Scope says which tools a key
// may call; Limits, how often.
//
// # Checking calls
//
// Authority tells whose key is presented, from memory as far as it can, and
// ends what is open with a key that was revoked (Watch). It is a Store, too:
// who changes anything does so through it. Limiter lets a call in or tells
// which limit it would exceed:
//
//	principal, ok, err := authority.Authenticate(ctx, key, clientAddr)
//	// err: *Throttled is for 429, anything else for 503; !ok is for 401
//	if !principal.Scope.Match(tool) { … }
//	permit, err := limiter.Acquire(ctx, principal)
//	// *Exceeded is for 429 with its RetryAfter
//	defer permit.Release()
//	permit.Records(n) // when the result has been metered
//
// # People
//
// NewUser, NewInvite and HashPassword make what the Store keeps. A token of the
// admin API is signed with Keyring.Current and names its user, the user's
// TokenEpoch and an ID of its own; Store.Session tells whether it is good.
// Logging out is RevokeToken; a changed password and a disabled user end all
// sessions.
//
// # Audit
//
// Whoever makes a change puts WithActor into the context: the Store writes a
// row for it in the transaction of the change.
package identity
