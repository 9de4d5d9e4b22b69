-- +goose Up
-- One key's calls: its history, and how many there are since some time.
CREATE INDEX mcp_tool_usage_log_key_order ON mcp_tool_usage_log (key_id, ts, event_id);
