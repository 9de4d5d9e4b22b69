-- +goose Up
-- Whom other replicas are to read anew: "user ID" or "key DIGEST". Triggers see
-- what is changed by hand, too. When a key was last used decides nothing.
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

-- +goose Down
DROP TRIGGER user_changed ON users;
DROP TRIGGER key_changed ON keys;
DROP FUNCTION tallygate_changed;
