-- +goose Up
-- One row for each call. Unknown values are NULL; tables is a JSON array, or NULL
-- when unknown; table_name is the first of them; ts counts microseconds since
-- 1970, UTC: datetime(ts / 1e6, 'unixepoch').
--
-- The rows are stored in the order of the history, in the table's own tree. The
-- same tree finds an event that is written again, since an event_id has one ts.
-- So a row is in three trees, and most of the cost of writing it is there.
CREATE TABLE mcp_tool_usage_log (
    event_id         TEXT NOT NULL,
    ts               INTEGER NOT NULL,
    server           TEXT NOT NULL,
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

-- A user's and a key's history, in its whole order: the place where a far page
-- begins is found in the index alone.
CREATE INDEX mcp_tool_usage_log_user_order ON mcp_tool_usage_log (user_id, ts, event_id);
CREATE INDEX mcp_tool_usage_log_key_order ON mcp_tool_usage_log (key_id, ts, event_id);

-- The roll-up: calls and records of each day. Stats and the totals of the history
-- are read from it. A write adds to it in its own transaction, and the trigger
-- subtracts what a DELETE removes. The sum of the known record counts is
-- (records_high << 32) + records_low, since it may not fit an integer of
-- SQLite's. Unknown tables are [].
CREATE TABLE mcp_tool_usage_daily (
    day          INTEGER NOT NULL, -- since 1970: date(day * 86400, 'unixepoch')
    server       TEXT NOT NULL,
    tool_name    TEXT NOT NULL,
    tables       TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    calls        INTEGER NOT NULL,
    records_high INTEGER NOT NULL,
    records_low  INTEGER NOT NULL,
    PRIMARY KEY (day, server, tool_name, tables, outcome)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER mcp_tool_usage_log_deleted AFTER DELETE ON mcp_tool_usage_log BEGIN
    UPDATE mcp_tool_usage_daily SET
        calls = calls - 1,
        records_high = records_high - ifnull(old.record_count >> 32, 0),
        records_low = records_low - ifnull(old.record_count & 0xffffffff, 0)
    WHERE day = (old.ts - iif(old.ts < 0, 86399999999, 0)) / 86400000000
        AND server = old.server AND tool_name = old.tool_name AND tables = ifnull(old.tables, '[]') AND outcome = old.outcome;
    DELETE FROM mcp_tool_usage_daily
    WHERE day = (old.ts - iif(old.ts < 0, 86399999999, 0)) / 86400000000
        AND server = old.server AND tool_name = old.tool_name AND tables = ifnull(old.tables, '[]') AND outcome = old.outcome AND calls = 0;
END;
-- +goose StatementEnd
