-- The schema of the first release. Times are microseconds since 1970-01-01 UTC.
-- IDs are compared byte by byte.

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
    replaces      TEXT COLLATE "C" UNIQUE REFERENCES keys (id) -- null: not made by a rotation
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

-- An address has one open invitation at most.
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
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- UUIDv7, which sorts by time
    at          BIGINT NOT NULL,
    action      TEXT   NOT NULL,
    actor_id    TEXT   NOT NULL, -- empty: the program itself
    actor_email TEXT   NOT NULL,
    ip          TEXT   NOT NULL,
    user_id     TEXT   NOT NULL, -- empty: about no user
    target_id   TEXT   NOT NULL,
    target      TEXT   NOT NULL,
    details     TEXT   NOT NULL  -- JSON
);

CREATE INDEX audit_by_user ON audit (user_id, id);
CREATE INDEX audit_by_user_and_action ON audit (user_id, action, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);
CREATE INDEX audit_by_target ON audit (target_id, id);

CREATE TABLE tallies (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tally  TEXT NOT NULL -- JSON
) WITH (fillfactor = 50);

-- Notifies other replicas of changes that they must read: "user ID" or "key
-- DIGEST". Triggers also see what is changed by hand. last_used_at is left out: no
-- decision depends on it.
-- +goose StatementBegin
CREATE FUNCTION tallygate_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'keys' THEN
        PERFORM pg_notify('tallygate', 'key ' || encode(OLD.digest, 'hex'));
    ELSE
        PERFORM pg_notify('tallygate', 'user ' || OLD.id);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER key_changed AFTER UPDATE OF id, user_id, name, digest, expires_at, revoked_at, scopes, limits OR DELETE ON keys
    FOR EACH ROW EXECUTE FUNCTION tallygate_changed();
CREATE TRIGGER user_changed AFTER UPDATE OF id, email, disabled, limits ON users
    FOR EACH ROW EXECUTE FUNCTION tallygate_changed();
