package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// columnNames are the columns that a Write fills. The table derives the others.
var columnNames = strings.Join(usage.ColumnNames(usage.StoredColumns), ", ")

// appendColumn appends the events' values of a column to the column of an INSERT.
func appendColumn(to driver.BatchColumn, c usage.Column, events []usage.Event) error {
	var e usage.Event
	switch c.Field(&e).(type) {
	case *string:
		if c.Nullable {
			return appendTexts(to, c, events)
		}
		return to.Append(fieldsOf[string](c, events))
	case *int64:
		return to.Append(fieldsOf[int64](c, events))
	case *usage.NullInt64:
		return to.Append(nullInt64s(c, events))
	case *[]string:
		return to.Append(fieldsOf[[]string](c, events))
	case *uuid.UUID:
		return to.Append(fieldsOf[uuid.UUID](c, events))
	case *time.Time:
		return to.Append(fieldsOf[time.Time](c, events))
	default:
		panic(fmt.Sprintf("column %s: the ClickHouse ledger cannot hold a %T", c.Name, c.Field(&e)))
	}
}

func fieldsOf[T any](c usage.Column, events []usage.Event) []T {
	values := make([]T, len(events))
	for i := range events {
		values[i] = *c.Field(&events[i]).(*T)
	}
	return values
}

func nullInt64s(c usage.Column, events []usage.Event) []*int64 {
	values := make([]*int64, len(events))
	for i := range events {
		if n := c.Field(&events[i]).(*usage.NullInt64); n.Valid {
			values[i] = &n.Int64
		}
	}
	return values
}

// appendTexts appends texts of which the empty one is NULL. It does so one by one
// and without pointers: LowCardinality takes no []*string, and it would count
// equal strings behind different pointers as different ones.
func appendTexts(to driver.BatchColumn, c usage.Column, events []usage.Event) error {
	for i := range events {
		if err := to.AppendRow(c.Value(&events[i])); err != nil {
			return err
		}
	}
	return nil
}

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
		if err := appendColumn(batch.Column(i), c, b.Events); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return batch.Send()
}
