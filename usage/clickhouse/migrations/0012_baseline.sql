-- One row for each call. Unknown values are NULL, unknown tables an empty array.
--
-- The history reads stretches of time, whoever's calls it shows: so the key is ts.
-- With a partition for each month, old calls are cheap to drop. Texts with few
-- different values are LowCardinality.
--
-- daily and daily_by_user are the roll-up: calls and records of each day, for
-- everybody and by user and key. Stats, the totals of the history, and the day on
-- which a page begins are read from it. Projections are stored in the parts that
-- they sum up, together with them: so unlike a materialised view they can neither
-- miss a batch nor count one twice, whatever is killed, sent again, dropped or
-- deleted. The indexes find the calls of a user or key who makes few.
--
-- The deduplication window makes MergeTree remember the last 100,000 inserted
-- parts: a batch that is sent again under the same insert_deduplication_token
-- within that many inserts is stored once. With fsync an acknowledged batch
-- survives a power cut. With lightweight_mutation_projection_mode a DELETE FROM
-- keeps the roll-up right. With ttl_only_drop_parts a TTL drops whole months.
CREATE TABLE IF NOT EXISTS {{.Table}}{{.OnCluster}}
(
    event_id         UUID CODEC(ZSTD(1)),
    ts               DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    server           LowCardinality(String),
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
    remote_ip        LowCardinality(String),

    INDEX user_id_in_granule user_id TYPE bloom_filter(0.01),
    INDEX key_id_in_granule key_id TYPE bloom_filter(0.01),

    PROJECTION daily
    (
        SELECT toDate32(ts), server, tool_name, tables, outcome,
            count(), sum(toInt128(ifNull(record_count, 0)))
        GROUP BY toDate32(ts), server, tool_name, tables, outcome
    ),
    PROJECTION daily_by_user
    (
        SELECT user_id, key_id, toDate32(ts), server, tool_name, tables, outcome,
            count(), sum(toInt128(ifNull(record_count, 0)))
        GROUP BY user_id, key_id, toDate32(ts), server, tool_name, tables, outcome
    )
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
    fsync_part_directory = 1,
    lightweight_mutation_projection_mode = 'rebuild',
    ttl_only_drop_parts = 1
