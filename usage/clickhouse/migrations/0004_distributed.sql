{{- if .Cluster -}}
-- The table over all shards. Events go to a shard by their event_id alone, so
-- a batch that is sent again is cut into the same blocks, and each shard knows
-- its own again.
CREATE TABLE IF NOT EXISTS mcp_tool_usage_log{{.OnCluster}} AS {{.Table}}
ENGINE = Distributed({{.Quoted}}, currentDatabase(), {{.Table}}, cityHash64(event_id))
{{- end -}}
