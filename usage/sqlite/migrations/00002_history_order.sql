-- +goose Up
-- History's whole order, so that the place where a far page begins is found in
-- the index alone.
CREATE INDEX mcp_tool_usage_log_user_order ON mcp_tool_usage_log (user_id, ts, event_id);
CREATE INDEX mcp_tool_usage_log_order ON mcp_tool_usage_log (ts, event_id);
DROP INDEX mcp_tool_usage_log_user;
DROP INDEX mcp_tool_usage_log_ts;
