-- Goes on in the background; until it has come to a part, the part's rows are
-- summed up one by one.
ALTER TABLE {{.Table}}{{.OnCluster}}
    MATERIALIZE PROJECTION daily,
    MATERIALIZE PROJECTION daily_by_user,
    MATERIALIZE INDEX user_id_in_granule,
    MATERIALIZE INDEX key_id_in_granule
