package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tallygate/tallygate/usage"
)

// columnNames are the columns that a Write fills. The table derives the others.
var columnNames = strings.Join(usage.ColumnNames(usage.StoredColumns), ", ")

// The times that clickhouse-go can write to a DateTime64. ClickHouse itself knows more.
var (
	minTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Write implements usage.Ledger. The events of one month are stored all or none.
// Those of a batch across several months are all stored after its last Write.
func (l *Ledger) Write(ctx context.Context, b usage.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	for _, e := range b.Events {
		if e.Time.Before(minTime) || !e.Time.Before(maxTime) {
			return fmt.Errorf("ClickHouse ledger: event %s: %w: its ts, %s, is outside the years %d to %d",
				e.ID, usage.ErrRejected, e.Time.Format(time.RFC3339), minTime.Year(), maxTime.Year()-1)
		}
	}
	if err := l.ready(ctx); err != nil {
		return err
	}
	err := l.store(ctx, b)
	if err != nil {
		err = l.failed(fmt.Sprintf("write batch %q of %d events", b.Token, len(b.Events)), err)
	}
	l.doubts.record(b.Token, err)
	return err
}

// store inserts the batch. When it may have been sent before, store inserts only
// the events that are missing; an earlier INSERT that is still running then has
// the same token, and ClickHouse drops one of the two.
func (l *Ledger) store(ctx context.Context, b usage.Batch) (err error) {
	if l.doubts.has(b.Token) {
		if b.Events, err = l.missing(ctx, b.Events); err != nil || len(b.Events) == 0 {
			return err
		}
	}
	return l.insert(ctx, b)
}

func (l *Ledger) insert(ctx context.Context, b usage.Batch) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplicate":         1,
		"insert_deduplication_token": b.Token,
		// A batch from a gate with a wrong clock may span any number of months.
		"max_partitions_per_insert_block": 0,
	}))
	batch, err := l.conn.PrepareBatch(ctx, "INSERT INTO "+logTable+" ("+columnNames+")")
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }() // does nothing after Send
	for i, c := range usage.StoredColumns {
		for n := range b.Events {
			e := &b.Events[n]
			value := c.Value(e)
			if _, isList := c.Field(e).(*[]string); isList && value == nil {
				value = []string{} // an array has no NULL
			}
			if err := batch.Column(i).AppendRow(value); err != nil {
				return fmt.Errorf("event %s: column %s: %w", e.ID, c.Name, err)
			}
		}
	}
	return batch.Send()
}
