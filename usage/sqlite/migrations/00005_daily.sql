-- +goose Up
-- The roll-up: calls and records a day, which stats and history's totals are
-- read from. A write adds to it in its own transaction, and a DELETE takes away
-- again. The sum of the known record counts is (records_high << 32) +
-- records_low, as no integer of SQLite's may hold it. Unknown tables are [].
CREATE TABLE mcp_tool_usage_daily (
    day          INTEGER NOT NULL, -- since 1970: date(day * 86400, 'unixepoch')
    tool_name    TEXT NOT NULL,
    tables       TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    calls        INTEGER NOT NULL,
    records_high INTEGER NOT NULL,
    records_low  INTEGER NOT NULL,
    PRIMARY KEY (day, tool_name, tables, outcome)
) STRICT, WITHOUT ROWID;
INSERT INTO mcp_tool_usage_daily
    SELECT (ts - iif(ts < 0, 86399999999, 0)) / 86400000000 AS day, tool_name, ifnull(tables, '[]') AS touched, outcome,
        count(*), ifnull(sum(record_count >> 32), 0), ifnull(sum(record_count & 0xffffffff), 0)
    FROM mcp_tool_usage_log GROUP BY day, tool_name, touched, outcome;
-- +goose StatementBegin
CREATE TRIGGER mcp_tool_usage_log_deleted AFTER DELETE ON mcp_tool_usage_log BEGIN
    UPDATE mcp_tool_usage_daily SET
        calls = calls - 1,
        records_high = records_high - ifnull(old.record_count >> 32, 0),
        records_low = records_low - ifnull(old.record_count & 0xffffffff, 0)
    WHERE day = (old.ts - iif(old.ts < 0, 86399999999, 0)) / 86400000000
        AND tool_name = old.tool_name AND tables = ifnull(old.tables, '[]') AND outcome = old.outcome;
    DELETE FROM mcp_tool_usage_daily
    WHERE day = (old.ts - iif(old.ts < 0, 86399999999, 0)) / 86400000000
        AND tool_name = old.tool_name AND tables = ifnull(old.tables, '[]') AND outcome = old.outcome AND calls = 0;
END;
-- +goose StatementEnd
