// Package uuidv7 makes the IDs of everything that Tallygate stores.
package uuidv7

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// New returns a UUIDv7 of a time. The 12 bits after the milliseconds are the
// fraction of the millisecond (RFC 9562, section 6.2, method 3), so that IDs sort
// by time to a quarter of a microsecond. It is unique, and not a secret.
func New(at time.Time) (id uuid.UUID) {
	ms, ns := at.UnixMilli(), at.Nanosecond()%1_000_000
	binary.BigEndian.PutUint64(id[:], uint64(ms)<<16|0x7000|uint64(ns<<12/1_000_000))
	binary.BigEndian.PutUint64(id[8:], 1<<63|rand.Uint64()>>2)
	return id
}
