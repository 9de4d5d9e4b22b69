-- The schema of the first release. Times are microseconds since 1970-01-01 UTC.

-- +goose Up
CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    disabled      INTEGER NOT NULL,
    limits        TEXT    NOT NULL, -- JSON
    token_epoch   INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
    id            TEXT    NOT NULL PRIMARY KEY,
    user_id       TEXT    NOT NULL REFERENCES users (id),
    name          TEXT    NOT NULL,
    note          TEXT    NOT NULL,
    prefix        TEXT    NOT NULL,
    digest        BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    scopes        TEXT    NOT NULL, -- JSON
    limits        TEXT    NOT NULL, -- JSON
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER, -- null: never
    revoked_at    INTEGER, -- null: not revoked
    revoke_reason TEXT    NOT NULL,
    last_used_at  INTEGER, -- null: never
    replaces      TEXT UNIQUE REFERENCES keys (id) -- null: not made by a rotation
) STRICT;

CREATE INDEX keys_by_user ON keys (user_id, created_at, id);

CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

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

-- An address has one open invitation at most.
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
    id          TEXT    NOT NULL PRIMARY KEY, -- UUIDv7, which sorts by time
    at          INTEGER NOT NULL,
    action      TEXT    NOT NULL,
    actor_id    TEXT    NOT NULL, -- empty: the program itself
    actor_email TEXT    NOT NULL,
    ip          TEXT    NOT NULL,
    user_id     TEXT    NOT NULL, -- empty: about no user
    target_id   TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    details     TEXT    NOT NULL  -- JSON
) STRICT;

CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_user_and_action ON audit (user_id, action, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);
CREATE INDEX audit_by_target ON audit (target_id, id);

CREATE TABLE tallies (
    key_id TEXT NOT NULL PRIMARY KEY,
    tally  TEXT NOT NULL -- JSON
) STRICT;

-- Changes that other processes must read: "user ID" or "key DIGEST". Triggers also
-- see what is changed by hand. last_used_at is left out: no decision depends on it.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- without gaps
    what   TEXT NOT NULL
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER key_changed AFTER UPDATE OF id, user_id, name, digest, expires_at, revoked_at, scopes, limits ON keys BEGIN
    INSERT INTO changes (what) VALUES ('key ' || hex(OLD.digest));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER key_deleted AFTER DELETE ON keys BEGIN
    INSERT INTO changes (what) VALUES ('key ' || hex(OLD.digest));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER user_changed AFTER UPDATE OF id, email, disabled, limits ON users BEGIN
    INSERT INTO changes (what) VALUES ('user ' || OLD.id);
END;
-- +goose StatementEnd

-- A process that has not read a change 10,000 changes later has to read everything
-- again.
-- +goose StatementBegin
CREATE TRIGGER changes_kept AFTER INSERT ON changes BEGIN
    DELETE FROM changes WHERE number <= NEW.number - 10000;
END;
-- +goose StatementEnd
