-- +goose Up
-- One row a call. Unknown values are NULL; tables is a JSON array, or NULL when
-- unknown; ts counts microseconds since 1970, UTC: datetime(ts / 1e6, 'unixepoch').
CREATE TABLE IF NOT EXISTS mcp_tool_usage_log (
    event_id         TEXT NOT NULL PRIMARY KEY,
    ts               INTEGER NOT NULL,
    user_id          TEXT NOT NULL,
    user_email       TEXT NOT NULL,
    key_id           TEXT NOT NULL,
    key_name         TEXT NOT NULL,
    tool_name        TEXT NOT NULL,
    table_name       TEXT GENERATED ALWAYS AS (nullif(tables ->> 0, '')) VIRTUAL,
    tables           TEXT,
    record_count     INTEGER,
    outcome          TEXT NOT NULL,
    http_status      INTEGER,
    rpc_code         INTEGER,
    duration_us      INTEGER NOT NULL,
    request_bytes    INTEGER NOT NULL,
    response_bytes   INTEGER NOT NULL,
    session_id       TEXT,
    request_id       TEXT NOT NULL,
    protocol_version TEXT,
    client_name      TEXT,
    client_version   TEXT,
    remote_ip        TEXT NOT NULL
) STRICT;

-- History reads one user's newest calls, or everyone's; stats their days.
CREATE INDEX IF NOT EXISTS mcp_tool_usage_log_user ON mcp_tool_usage_log (user_id, ts);
CREATE INDEX IF NOT EXISTS mcp_tool_usage_log_ts ON mcp_tool_usage_log (ts);
