package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// bucket is the number of a filter's events in a span.
type bucket struct {
	span
	events int64
}

// days counts the filter's events on each UTC day that has some, newest first:
// whole days from the roll-up, and the two days that From and To may split from the
// events.
func (l *Ledger) days(ctx context.Context, f usage.Filter) (days []bucket, err error) {
	all := spanOf(f)
	if !all.from.Before(all.to) {
		return nil, nil
	}
	condition, params := where(f)
	var selects []string
	add := func(s span, times string) {
		if s.from.Before(s.to) {
			selects = append(selects, fmt.Sprintf("SELECT toDate32(ts) AS day, count() AS events FROM %s WHERE %s AND %s GROUP BY day",
				logTable, condition, times))
		}
	}
	head, whole, tail := all.byWholeDays()
	add(head, head.moments())
	add(whole, whole.days())
	add(tail, tail.moments())
	// clickhouse-go reads a Date32 as midnight in the server's time zone, so the days
	// are counted from 1970.
	err = l.query(ctx, "SELECT toInt32(day), events FROM ("+strings.Join(selects, " UNION ALL ")+")", params, func(scan func(...any) error) error {
		var (
			number int32
			events uint64
		)
		if err := scan(&number, &events); err != nil {
			return err
		}
		midnight := time.Unix(int64(number)*int64(day/time.Second), 0).UTC()
		d := span{midnight, midnight.Add(day)}
		days = append(days, bucket{d.cut(all), int64(events)})
		return nil
	})
	return newestFirst(days), err
}

// minutes counts the filter's events in each minute of the span that has some,
// newest first.
func (l *Ledger) minutes(ctx context.Context, f usage.Filter, s span) (minutes []bucket, err error) {
	condition, params := where(f)
	err = l.query(ctx, fmt.Sprintf("SELECT intDiv(toUnixTimestamp64Micro(ts) - (%d), %d) AS minute, count() FROM %s WHERE %s AND %s GROUP BY minute",
		s.from.UnixMicro(), time.Minute.Microseconds(), logTable, condition, s.moments()), params,
		func(scan func(...any) error) error {
			var (
				minute int64
				events uint64
			)
			if err := scan(&minute, &events); err != nil {
				return err
			}
			from := s.from.Add(time.Duration(minute) * time.Minute)
			minutes = append(minutes, bucket{span{from, from.Add(time.Minute)}.cut(s), int64(events)})
			return nil
		})
	return newestFirst(minutes), err
}

func newestFirst(buckets []bucket) []bucket {
	slices.SortFunc(buckets, func(a, b bucket) int { return b.from.Compare(a.from) })
	return buckets
}

// place says where a page is: in the span, after the cursor if there is one, and
// after a number of newer events.
type place struct {
	span
	behind *usage.Cursor
	skip   int64
	events int64 // number on the page
	found  int64 // number in the span
}

// cheap is the size of a span, in events, that a query sorts to read a page of it.
const cheap = 20_000

// in narrows the place to the buckets that it lies in.
func (p place) in(buckets []bucket) place {
	if p.behind != nil {
		return p.after(buckets, p.behind.Time)
	}
	narrow := p
	narrow.found = 0
	for i, b := range buckets {
		if narrow.skip >= b.events {
			narrow.skip -= b.events
			continue
		}
		narrow.to = b.to
		for _, b := range buckets[i:] {
			narrow.from = b.from
			if narrow.found += b.events; narrow.found >= narrow.skip+narrow.events {
				break
			}
		}
		return narrow
	}
	return p // some events were deleted since they were counted
}

// after narrows the place to the events that may follow a moment. How many events
// of the moment's own bucket follow it is unknown, so they are not counted.
func (p place) after(buckets []bucket, moment time.Time) place {
	p.span, p.found = span{moment, clampTime(moment.Add(time.Microsecond))}, 0
	rest := p.events
	for _, b := range buckets {
		if b.from.After(moment) {
			continue
		}
		p.from = b.from
		p.found += b.events
		if !b.to.After(moment) {
			rest -= b.events
		}
		if rest <= 0 {
			break
		}
	}
	return p
}

// condition returns the condition that a row is in the place or is skipped.
func (p place) condition() string {
	condition := p.moments()
	if p.behind != nil {
		condition += fmt.Sprintf(" AND (ts < fromUnixTimestamp64Micro(%d, 'UTC') OR UUIDToNum(event_id) < UUIDToNum(toUUID('%s')))",
			p.behind.Time.UnixMicro(), p.behind.ID)
	}
	return condition
}
