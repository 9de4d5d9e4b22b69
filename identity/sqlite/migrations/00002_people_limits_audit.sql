-- +goose Up
ALTER TABLE users ADD COLUMN limits TEXT NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE users ADD COLUMN token_epoch INTEGER NOT NULL DEFAULT 0;

ALTER TABLE keys ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE keys ADD COLUMN revoke_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN last_used_at INTEGER; -- null: never
ALTER TABLE keys ADD COLUMN replaces TEXT REFERENCES keys (id); -- null: made by no rotation

-- A key is rotated once.
CREATE UNIQUE INDEX keys_by_replaced ON keys (replaces);

CREATE TABLE invites (
    id          TEXT    NOT NULL PRIMARY KEY,
    email       TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    limits      TEXT    NOT NULL, -- JSON
    digest      BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    accepted_at INTEGER -- null: not accepted
) STRICT;

-- One invitation is open for an address.
CREATE UNIQUE INDEX invites_open ON invites (email) WHERE accepted_at IS NULL;

CREATE TABLE receipts (
    user_id    TEXT    NOT NULL,
    id         BLOB    NOT NULL,
    request    BLOB    NOT NULL,
    answer     BLOB    NOT NULL, -- encrypted, under a key that is not stored
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT;

CREATE INDEX receipts_by_expiry ON receipts (expires_at);

CREATE TABLE revoked_tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

CREATE TABLE signing_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    secret     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    id          TEXT    NOT NULL PRIMARY KEY, -- UUIDv7: in the order of time
    at          INTEGER NOT NULL,
    action      TEXT    NOT NULL,
    actor_id    TEXT    NOT NULL, -- empty: the program itself
    actor_email TEXT    NOT NULL,
    ip          TEXT    NOT NULL,
    user_id     TEXT    NOT NULL, -- empty: about nobody
    target_id   TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    details     TEXT    NOT NULL  -- JSON
) STRICT;

CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);
CREATE INDEX audit_by_target ON audit (target_id, id);

CREATE TABLE tallies (
    key_id TEXT NOT NULL PRIMARY KEY,
    tally  TEXT NOT NULL -- JSON
) STRICT;

-- +goose Down
DROP TABLE tallies;
DROP TABLE audit;
DROP TABLE signing_keys;
DROP TABLE revoked_tokens;
DROP TABLE receipts;
DROP TABLE invites;
DROP INDEX keys_by_replaced;
ALTER TABLE keys DROP COLUMN replaces;
ALTER TABLE keys DROP COLUMN last_used_at;
ALTER TABLE keys DROP COLUMN revoke_reason;
ALTER TABLE keys DROP COLUMN limits;
ALTER TABLE keys DROP COLUMN scopes;
ALTER TABLE keys DROP COLUMN note;
ALTER TABLE users DROP COLUMN token_epoch;
ALTER TABLE users DROP COLUMN limits;
