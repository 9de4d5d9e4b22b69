package usagetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// Start is the time of the first call of Batch: an hour before the end of a month.
var Start = time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)

// Batch returns a batch of size calls by some users with some tools, one at every
// interval from Start on. The i-th call returns i records. Equal n and size give
// equal batches; batches with different n have no event in common.
func Batch(n, size int, every time.Duration) usage.Batch {
	random := rand.New(rand.NewPCG(uint64(n), uint64(size)))
	b := usage.Batch{Token: fmt.Sprintf("batch-%d-%d", n, size), Events: make([]usage.Event, size)}
	for i := range b.Events {
		ts := Start.Add(time.Duration(i) * every)
		user, tool, client := random.IntN(50), random.IntN(12), random.IntN(3)
		b.Events[i] = usage.Event{
			ID:              uuidV7(ts, random),
			Time:            ts,
			Server:          []string{"stock-data", "default"}[tool/6],
			UserID:          fmt.Sprintf("0198f2a4-7e51-7c3b-9d2e-%012d", user),
			UserEmail:       fmt.Sprintf("user-%d@example.com", user),
			KeyID:           fmt.Sprintf("0198f2a4-90aa-7001-8e11-%012d", user*3+client),
			KeyName:         []string{"laptop", "ci", "cursor"}[client],
			Tool:            fmt.Sprintf("tool_%d", tool),
			Tables:          []string{fmt.Sprintf("table_%d", tool), "stock_basic"}[:1+tool%2],
			RecordCount:     usage.Int64(int64(i)),
			Outcome:         usage.OK,
			HTTPStatus:      usage.Int64(200),
			DurationUS:      500 + random.Int64N(50_000),
			RequestBytes:    120 + random.Int64N(200),
			ResponseBytes:   random.Int64N(1 << 16),
			SessionID:       fmt.Sprintf("session-%08x", random.Uint32()),
			RequestID:       fmt.Sprint(i),
			ProtocolVersion: "2025-06-18",
			ClientName:      []string{"claude-code", "mcp-inspector", "cursor"}[client],
			ClientVersion:   "2.1.0",
			RemoteIP:        fmt.Sprintf("192.0.2.%d", user),
		}
	}
	return b
}

// uuidV7 is a UUIDv7 (RFC 9562, section 5.7) of the moment.
func uuidV7(ts time.Time, random *rand.Rand) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(ts.UnixMilli())<<16|0x7000|uint64(random.IntN(1<<12)))
	binary.BigEndian.PutUint64(id[8:], 1<<63|random.Uint64()>>2)
	return id
}
