-- +goose Up
-- Whom other processes are to read anew: "user ID" or "key DIGEST". Triggers see
-- what is changed by hand, too. When a key was last used decides nothing.
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

-- Who has not read a change by the time of so many more reads all anew.
-- +goose StatementBegin
CREATE TRIGGER changes_kept AFTER INSERT ON changes BEGIN
    DELETE FROM changes WHERE number <= NEW.number - 10000;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER changes_kept;
DROP TRIGGER user_changed;
DROP TRIGGER key_deleted;
DROP TRIGGER key_changed;
DROP TABLE changes;
