-- The roll-up: calls and records a day, for everybody and by user and key.
-- Stats are read from it, and so are history's totals and the day that a page
-- begins on. Projections are stored in the parts that they sum up, with them
-- or not at all; so unlike a materialised view they can neither miss a batch
-- nor count one twice, whatever is killed, sent again, dropped or deleted.
--
-- The indexes find the calls of a user or key who makes few.
ALTER TABLE {{.Table}}{{.OnCluster}}
    ADD PROJECTION IF NOT EXISTS daily
    (
        SELECT toDate32(ts), tool_name, tables, outcome,
            count(), sum(toInt128(ifNull(record_count, 0)))
        GROUP BY toDate32(ts), tool_name, tables, outcome
    ),
    ADD PROJECTION IF NOT EXISTS daily_by_user
    (
        SELECT user_id, key_id, toDate32(ts), tool_name, tables, outcome,
            count(), sum(toInt128(ifNull(record_count, 0)))
        GROUP BY user_id, key_id, toDate32(ts), tool_name, tables, outcome
    ),
    ADD INDEX IF NOT EXISTS user_id_in_granule user_id TYPE bloom_filter(0.01),
    ADD INDEX IF NOT EXISTS key_id_in_granule key_id TYPE bloom_filter(0.01),
    -- A DELETE FROM keeps the roll-up right; a TTL drops months whole.
    MODIFY SETTING lightweight_mutation_projection_mode = 'rebuild', ttl_only_drop_parts = 1
