{{- if .Cluster -}}
-- The table over all shards. An event's shard follows from its event_id alone. So
-- a batch that is sent again is split into the same blocks, and each shard
-- recognises its own.
CREATE TABLE IF NOT EXISTS mcp_tool_usage_log{{.OnCluster}} AS {{.Table}}
ENGINE = Distributed({{.Quoted}}, currentDatabase(), {{.Table}}, cityHash64(event_id))
{{- end -}}
