// Package identity is who may call: users, their API keys, what a key may do
// (its scopes and limits), how each is proven (argon2id for passwords, SHA-256
// for keys), and the Store interface that all of it is kept in. It knows
// neither Caddy nor a database driver; stores live in sub-packages and pass
// identitytest.Run.
package identity
