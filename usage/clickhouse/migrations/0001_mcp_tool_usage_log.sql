-- One row a call. Unknown values are NULL, unknown tables an empty array.
--
-- History reads stretches of time, whoever's calls it shows, hence the key;
-- months make old calls cheap to drop. Small sets of repeated strings are
-- LowCardinality.
--
-- The window makes MergeTree remember the last 100,000 inserted parts, so that
-- a batch that is sent again under the same insert_deduplication_token within
-- that many inserts leaves its rows once. With fsync an acknowledged batch
-- survives a power cut.
CREATE TABLE IF NOT EXISTS {{.Table}}{{.OnCluster}}
(
    event_id         UUID CODEC(ZSTD(1)),
    ts               DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    user_id          LowCardinality(String),
    user_email       LowCardinality(String),
    key_id           LowCardinality(String),
    key_name         LowCardinality(String),
    tool_name        LowCardinality(String),
    table_name       LowCardinality(Nullable(String)) DEFAULT nullIf(tables[1], ''),
    tables           Array(LowCardinality(String)),
    record_count     Nullable(Int64) CODEC(ZSTD(1)),
    outcome          LowCardinality(String),
    http_status      Nullable(Int64) CODEC(ZSTD(1)),
    rpc_code         Nullable(Int64) CODEC(ZSTD(1)),
    duration_us      Int64 CODEC(T64, ZSTD(1)),
    request_bytes    Int64 CODEC(T64, ZSTD(1)),
    response_bytes   Int64 CODEC(T64, ZSTD(1)),
    session_id       Nullable(String) CODEC(ZSTD(1)),
    request_id       String CODEC(ZSTD(1)),
    protocol_version LowCardinality(Nullable(String)),
    client_name      LowCardinality(Nullable(String)),
    client_version   LowCardinality(Nullable(String)),
    remote_ip        LowCardinality(String)
)
ENGINE = {{.Engine "mcp_tool_usage_log"}}
PARTITION BY toYYYYMM(ts)
ORDER BY ts
SETTINGS
{{- if .Replicated}}
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
{{- else}}
    non_replicated_deduplication_window = 100000,
{{- end}}
    fsync_after_insert = 1,
    fsync_part_directory = 1
