-- Times are microseconds since 1970-01-01 UTC. IDs are compared byte by byte.

-- +goose Up
CREATE TABLE users (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email         TEXT COLLATE "C" NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    disabled      BOOLEAN NOT NULL,
    limits        TEXT    NOT NULL, -- JSON
    token_epoch   BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL
);

CREATE TABLE keys (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    name          TEXT   NOT NULL,
    note          TEXT   NOT NULL,
    prefix        TEXT   NOT NULL,
    digest        BYTEA  NOT NULL UNIQUE CHECK (length(digest) = 32),
    scopes        TEXT   NOT NULL, -- JSON
    limits        TEXT   NOT NULL, -- JSON
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT, -- null: never
    revoked_at    BIGINT, -- null: not revoked
    revoke_reason TEXT   NOT NULL,
    last_used_at  BIGINT, -- null: never
    replaces      TEXT COLLATE "C" UNIQUE REFERENCES keys (id) -- null: made by no rotation
) WITH (fillfactor = 80); -- room for last_used_at to change in place

CREATE INDEX keys_by_user ON keys (user_id, created_at, id);

CREATE TABLE secrets (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE invites (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email       TEXT COLLATE "C" NOT NULL,
    role        TEXT   NOT NULL,
    limits      TEXT   NOT NULL, -- JSON
    digest      BYTEA  NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT -- null: not accepted
);

-- One invitation is open for an address.
CREATE UNIQUE INDEX invites_open ON invites (email) WHERE accepted_at IS NULL;

CREATE TABLE receipts (
    user_id    TEXT COLLATE "C" NOT NULL,
    id         BYTEA  NOT NULL,
    request    BYTEA  NOT NULL,
    answer     BYTEA  NOT NULL, -- encrypted, under a key that is not stored
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, id)
);

CREATE INDEX receipts_by_expiry ON receipts (expires_at);

CREATE TABLE revoked_tokens (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

CREATE TABLE signing_keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    secret     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE audit (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- UUIDv7: in the order of time
    at          BIGINT NOT NULL,
    action      TEXT   NOT NULL,
    actor_id    TEXT   NOT NULL, -- empty: the program itself
    actor_email TEXT   NOT NULL,
    ip          TEXT   NOT NULL,
    user_id     TEXT   NOT NULL, -- empty: about nobody
    target_id   TEXT   NOT NULL,
    target      TEXT   NOT NULL,
    details     TEXT   NOT NULL  -- JSON
);

CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);
CREATE INDEX audit_by_target ON audit (target_id, id);

CREATE TABLE tallies (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tally  TEXT NOT NULL -- JSON
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE tallies;
DROP TABLE audit;
DROP TABLE signing_keys;
DROP TABLE revoked_tokens;
DROP TABLE receipts;
DROP TABLE invites;
DROP TABLE secrets;
DROP TABLE keys;
DROP TABLE users;
