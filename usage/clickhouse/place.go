package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// bucket is how many events a filter finds in a stretch of time.
type bucket struct {
	span
	events int64
}

// days counts the filter's events on each UTC day that has some, newest first:
// whole days out of the roll-up, and the two that From and To may cut event by
// event.
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
	err = l.query(ctx, strings.Join(selects, " UNION ALL "), params, func(scan func(...any) error) error {
		var (
			midnight time.Time
			events   uint64
		)
		if err := scan(&midnight, &events); err != nil {
			return err
		}
		b := bucket{span{midnight.UTC(), midnight.UTC().Add(day)}, int64(events)}
		if b.from.Before(all.from) {
			b.from = all.from
		}
		if b.to.After(all.to) {
			b.to = all.to
		}
		days = append(days, b)
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
			minutes = append(minutes, bucket{span{from, from.Add(time.Minute)}, int64(events)})
			return nil
		})
	return newestFirst(minutes), err
}

func newestFirst(buckets []bucket) []bucket {
	slices.SortFunc(buckets, func(a, b bucket) int { return b.from.Compare(a.from) })
	return buckets
}

// cheapSkip is how many events a query may read past to where a page begins.
const cheapSkip = 1_000

// place is where a page is: in the span, behind the cursor where there is one,
// after so many events that are newer.
type place struct {
	span
	behind *usage.Cursor
	skip   int64
	events int64 // how many the page has
}

// within narrows the place down to the buckets that it lies in. Where they
// have fewer events than to skip, for some have gone since, it remains.
func (p place) within(buckets []bucket) place {
	narrow := p
	for i, b := range buckets {
		if narrow.skip >= b.events {
			narrow.skip -= b.events
			continue
		}
		narrow.to = b.to
		rest := narrow.skip + narrow.events
		for _, b := range buckets[i:] {
			narrow.from = b.from
			if rest -= b.events; rest <= 0 {
				break
			}
		}
		return narrow
	}
	return p
}

// after is the place behind the cursor. How many of its own day's events are
// behind it is not known, so they do not count.
func (p place) after(days []bucket, c usage.Cursor) place {
	c.Time = clampTime(c.Time)
	p.behind = &c
	p.from, p.to = c.Time, clampTime(c.Time.Add(time.Microsecond))
	rest := p.events
	for _, d := range days {
		if d.from.After(c.Time) {
			continue
		}
		p.from = d.from
		if !d.to.After(c.Time) {
			rest -= d.events
		}
		if rest <= 0 {
			break
		}
	}
	return p
}

// condition is the condition that a row is in the place, or skipped.
func (p place) condition() string {
	condition := p.moments()
	if p.behind != nil {
		condition += fmt.Sprintf(" AND (ts < fromUnixTimestamp64Micro(%d, 'UTC') OR UUIDToNum(event_id) < UUIDToNum(toUUID('%s')))",
			p.behind.Time.UnixMicro(), p.behind.ID)
	}
	return condition
}
