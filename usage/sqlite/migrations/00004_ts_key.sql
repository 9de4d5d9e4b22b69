-- +goose Up
-- The rows lie in history's order, in the table's own tree, which knows an event
-- again as well: an event_id has one ts. So a row is in three trees rather than
-- five, which is most of what writing one costs. table_name is stored: worked
-- out of the JSON, even when nobody reads it, it costs more at each INSERT.
CREATE TABLE mcp_tool_usage_log_by_ts (
    event_id         TEXT NOT NULL,
    ts               INTEGER NOT NULL,
    user_id          TEXT NOT NULL,
    user_email       TEXT NOT NULL,
    key_id           TEXT NOT NULL,
    key_name         TEXT NOT NULL,
    tool_name        TEXT NOT NULL,
    table_name       TEXT,
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
    remote_ip        TEXT NOT NULL,
    PRIMARY KEY (ts, event_id)
) STRICT, WITHOUT ROWID;
INSERT INTO mcp_tool_usage_log_by_ts
    SELECT event_id, ts, user_id, user_email, key_id, key_name, tool_name, table_name, tables,
        record_count, outcome, http_status, rpc_code, duration_us, request_bytes, response_bytes,
        session_id, request_id, protocol_version, client_name, client_version, remote_ip
    FROM mcp_tool_usage_log ORDER BY ts, event_id;
DROP TABLE mcp_tool_usage_log;
ALTER TABLE mcp_tool_usage_log_by_ts RENAME TO mcp_tool_usage_log;
CREATE INDEX mcp_tool_usage_log_user_order ON mcp_tool_usage_log (user_id, ts, event_id);
CREATE INDEX mcp_tool_usage_log_key_order ON mcp_tool_usage_log (key_id, ts, event_id);
