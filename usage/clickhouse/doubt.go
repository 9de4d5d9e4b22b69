package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// doubts are the batches that may have been sent before: those whose Write failed,
// and the first one, which an earlier process may have sent. The server recognizes
// them by their tokens, but it remembers a limited number of batches from all
// gates, and a gate may be stopped for any time.
type doubts struct {
	mu     sync.Mutex
	first  bool            // whether no Write has succeeded yet
	failed map[string]bool // by token
}

func newDoubts() doubts { return doubts{first: true, failed: make(map[string]bool)} }

// has reports whether the batch may have been sent before.
func (d *doubts) has(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.first || d.failed[token]
}

// record records how a Write of the batch ended.
func (d *doubts) record(token string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.first = false
		delete(d.failed, token)
	case errors.Is(err, usage.ErrRejected):
		delete(d.failed, token) // nothing is stored, and it is not sent again
	default:
		d.failed[token] = true
	}
}

// idsPerQuery keeps a query, with 39 bytes an ID, below max_query_size, 256 KiB.
const idsPerQuery = 2_000

// missing returns those of the events that are not in the table.
func (l *Ledger) missing(ctx context.Context, events []usage.Event) ([]usage.Event, error) {
	byTime := slices.Clone(events)
	slices.SortFunc(byTime, func(a, b usage.Event) int { return a.Time.Compare(b.Time) })
	there := make(map[uuid.UUID]bool)
	for chunk := range slices.Chunk(byTime, idsPerQuery) {
		ids := make([]string, len(chunk))
		for i := range chunk {
			ids[i] = "'" + chunk[i].ID.String() + "'"
		}
		err := l.query(ctx, fmt.Sprintf(`SELECT event_id FROM %s WHERE ts BETWEEN fromUnixTimestamp64Micro(%d, 'UTC') AND fromUnixTimestamp64Micro(%d, 'UTC')
			AND event_id IN (%s)`, logTable, chunk[0].Time.UnixMicro(), chunk[len(chunk)-1].Time.UnixMicro(), strings.Join(ids, ", ")),
			nil, func(scan func(...any) error) error {
				var id uuid.UUID
				err := scan(&id)
				there[id] = true
				return err
			})
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(events), func(e usage.Event) bool { return there[e.ID] }), nil
}
