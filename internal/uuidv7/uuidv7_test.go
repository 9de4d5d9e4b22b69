package uuidv7

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestNew(t *testing.T) {
	seen := map[uuid.UUID]bool{}
	begin := time.Now()
	for n := range 1000 {
		now := begin.Add(time.Duration(n) * time.Microsecond)
		id := New(now)
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 || seen[id] {
			t.Fatalf("%v is no UUIDv7, or was made before", id)
		}
		seen[id] = true
		if sec, ns := id.Time().UnixTime(); sec*1000+ns/1_000_000 != now.UnixMilli() {
			t.Fatalf("%v is of %d.%09d, want %v", id, sec, ns, now)
		}
		if before := New(now.Add(-time.Microsecond)); before.String() >= id.String() {
			t.Fatalf("%v of a microsecond before is not less than %v", before, id)
		}
	}
}
