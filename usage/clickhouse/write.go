package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/internal/pace"
	"github.com/tallygate/tallygate/usage"
)

// columns are the columns that a Write fills, with an event's values for them
// as clickhouse-go takes them. The table derives table_name.
var columns = []struct {
	name   string
	values func([]usage.Event) any // a slice, one value an event
}{
	{"event_id", values(func(e *usage.Event) uuid.UUID { return e.ID })},
	{"ts", values(func(e *usage.Event) time.Time { return e.Time })},
	{"user_id", values(func(e *usage.Event) string { return e.UserID })},
	{"user_email", values(func(e *usage.Event) string { return e.UserEmail })},
	{"key_id", values(func(e *usage.Event) string { return e.KeyID })},
	{"key_name", values(func(e *usage.Event) string { return e.KeyName })},
	{"tool_name", values(func(e *usage.Event) string { return e.Tool })},
	{"tables", values(func(e *usage.Event) []string { return e.Tables })},
	{"record_count", values(func(e *usage.Event) *int64 { return nullInt64(&e.RecordCount) })},
	{"outcome", values(func(e *usage.Event) string { return string(e.Outcome) })},
	{"http_status", values(func(e *usage.Event) *int64 { return nullInt64(&e.HTTPStatus) })},
	{"rpc_code", values(func(e *usage.Event) *int64 { return nullInt64(&e.RPCCode) })},
	{"duration_us", values(func(e *usage.Event) int64 { return e.DurationUS })},
	{"request_bytes", values(func(e *usage.Event) int64 { return e.RequestBytes })},
	{"response_bytes", values(func(e *usage.Event) int64 { return e.ResponseBytes })},
	{"session_id", values(func(e *usage.Event) *string { return nullString(&e.SessionID) })},
	{"request_id", values(func(e *usage.Event) string { return e.RequestID })},
	{"protocol_version", values(func(e *usage.Event) any { return nullKey(e.ProtocolVersion) })},
	{"client_name", values(func(e *usage.Event) any { return nullKey(e.ClientName) })},
	{"client_version", values(func(e *usage.Event) any { return nullKey(e.ClientVersion) })},
	{"remote_ip", values(func(e *usage.Event) string { return e.RemoteIP })},
}

func values[T any](of func(*usage.Event) T) func([]usage.Event) any {
	return func(events []usage.Event) any {
		vs := make([]T, len(events))
		for i := range events {
			vs[i] = of(&events[i])
		}
		return vs
	}
}

func nullInt64(n *usage.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

func nullString(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

// nullKey is nullString for a LowCardinality column, whose dictionary
// clickhouse-go keys by what it is given: a pointer would never repeat.
func nullKey(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// columnNames are the names of columns, separated by commas.
var columnNames = func() string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}()

// What clickhouse-go can put into a DateTime64, which is less than ClickHouse can.
var (
	minTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Write implements usage.Ledger. The events of one month are stored whole or
// not at all; those of a batch across several months are after its last Write.
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
	l.doubts.settle(b.Token, err)
	return err
}

// store inserts the batch, or as much of it as is not there when it may have
// been sent before. What is still under way then meets its own token.
func (l *Ledger) store(ctx context.Context, b usage.Batch) (err error) {
	if l.doubts.about(b.Token) {
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
		// A batch from a gate whose clock went astray may span any number of months.
		"max_partitions_per_insert_block": 0,
	}))
	batch, err := l.conn.PrepareBatch(ctx, "INSERT INTO "+logTable+" ("+columnNames+")")
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }() // after Send, it has nothing left to do
	var work pace.Worker
	for i, c := range columns {
		if err := batch.Column(i).Append(c.values(b.Events)); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		work.Rest()
	}
	return batch.Send()
}
