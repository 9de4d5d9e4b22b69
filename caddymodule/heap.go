package caddymodule

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	gcmetrics "runtime/metrics"
	"sync"
	"time"
)

// A gate uses some 8 MB of heap. By default that much again is allocated before
// it is collected, which under load is some fifty times a second, a tenth of a
// call's processor time. So the heap has as much room as is allocated in
// heapPeriod, from what it has by default up to mostRoom: a gate that answers
// few calls, or long ones, stays small.
const (
	heapPeriod = 100 * time.Millisecond
	mostRoom   = 24 << 20 // bytes

	// scarce, in bytes, is a memory limit below which the heap is left alone.
	scarce = 96 << 20
)

// giveRoom begins to give the heap its room, unless the operator has said in
// GOGC how much it is to have.
var giveRoom = sync.OnceFunc(func() {
	// Caddy has set the limit by the container's.
	if os.Getenv("GOGC") != "" || debug.SetMemoryLimit(-1) < scarce {
		return
	}
	r := &heapRoom{percent: 100, collected: time.Now()}
	r.await()
})

// heapRoom is what collections tell of how much room the heap is to have.
type heapRoom struct {
	wanted    float64 // bytes, by what was allocated before the last collection
	percent   int     // as in GOGC
	collected time.Time
	allocated uint64 // bytes until then
}

// await has again called after the next collection.
func (r *heapRoom) await() {
	type garbage [4]*heapRoom // of a size that shares its memory with nothing
	runtime.AddCleanup(new(garbage), (*heapRoom).again, r)
}

func (r *heapRoom) again() {
	samples := []gcmetrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	gcmetrics.Read(samples)
	allocated, live := samples[0].Value.Uint64(), samples[1].Value.Uint64()
	now := time.Now()
	rate := float64(allocated-r.allocated) / now.Sub(r.collected).Seconds()
	r.allocated, r.collected = allocated, now
	if r.adjust(rate, float64(live)) {
		debug.SetGCPercent(r.percent)
	}
	r.await() // last, since cleanups may run side by side
}

// adjust sets the percentage by how much is allocated in a second and how much
// is in use, both in bytes, and tells whether it makes a difference.
func (r *heapRoom) adjust(rate, live float64) bool {
	before := r.wanted
	r.wanted = min(rate*heapPeriod.Seconds(), mostRoom)
	room := max(r.wanted, before) // little, for once, may have been a pause
	percent := max(100, int(room*100/max(live, 1)))
	if math.Abs(float64(percent-r.percent)) < float64(r.percent)/8 {
		return false
	}
	r.percent = percent
	return true
}
