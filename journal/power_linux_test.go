package journal

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// powerDisk is an ext4 file system in a file, the disk. What the kernel has not
// written to that file yet is what a power failure takes.
type powerDisk struct {
	t            *testing.T
	image, mount string
}

// newPowerDisk makes a disk; where mounting is not allowed there is none.
func newPowerDisk(t *testing.T) (*powerDisk, bool) {
	t.Helper()
	d := &powerDisk{t: t, image: filepath.Join(memoryDir(t), "disk"), mount: t.TempDir()}
	f, err := os.Create(d.image)
	if err == nil {
		err = errors.Join(f.Truncate(24<<20), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Logf("mkfs.ext4: %v %s", err, out)
		return nil, false
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.mount).CombinedOutput(); err != nil {
		t.Logf("mount: %v %s", err, out)
		return nil, false
	}
	t.Cleanup(d.unmount)
	return d, true
}

func (d *powerDisk) unmount() {
	if out, err := exec.Command("umount", d.mount).CombinedOutput(); err != nil {
		d.t.Errorf("umount: %v %s", err, out)
	}
}

// snapshot copies the disk as it would be found after a power failure now.
func (d *powerDisk) snapshot() (image string) {
	d.t.Helper()
	image = filepath.Join(filepath.Dir(d.image), uuid.NewString())
	from, err := os.Open(d.image)
	if err != nil {
		d.t.Fatal(err)
	}
	to, err := os.Create(image)
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, from.Close(), to.Close()); err != nil {
		d.t.Fatal(err)
	}
	return image
}

// powerUp goes on with a disk that snapshot has copied.
func (d *powerDisk) powerUp(image string) {
	d.t.Helper()
	d.unmount()
	if err := os.Rename(image, d.image); err != nil {
		d.t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.mount).CombinedOutput(); err != nil {
		d.t.Fatalf("mount: %v %s", err, out)
	}
}

// The machine loses its power again and again under load. What the mode of
// syncing promises is there afterwards: under always each event whose Append
// had returned and each suspended call, under interval those from before the
// last sync. Under all of them, none is stored twice and no token comes to
// stand for other events than before.
func TestPowerLoss(t *testing.T) {
	for _, mode := range []SyncMode{SyncAlways, SyncByInterval, SyncNone} {
		t.Run(string(mode), func(t *testing.T) {
			disk, ok := newPowerDisk(t)
			if !ok {
				return // what a machine that forbids mounting cannot show
			}
			l := newFakeLedger()
			l.fault = nth(losesReply, 2, 5, 9, 14)
			promised := map[uuid.UUID]bool{}
			for range 6 {
				powerLife(t, disk, mode, l, promised)
			}
			j := openJournal(t, filepath.Join(disk.mount, "journal"), Options{})
			finishPending(t, j)
			shipBy(t, j, l, 50)
			closeJournal(t, j)
			if l.mixed != nil {
				t.Error(l.mixed)
			}
			times := map[uuid.UUID]int{}
			for _, e := range l.rows {
				times[e.ID]++
			}
			for id, n := range times {
				if n != 1 {
					t.Errorf("event %s: %d times", id, n)
				}
			}
			for id := range promised {
				if times[id] != 1 {
					t.Errorf("event %s was promised and is there %d times", id, times[id])
				}
			}
			t.Logf("%d events promised, %d in the ledger", len(promised), len(l.rows))
		})
	}
}

// powerLife runs a journal and a shipper under load until the power fails, and
// adds the IDs of the events that must survive to promised.
func powerLife(t *testing.T, disk *powerDisk, mode SyncMode, l *fakeLedger, promised map[uuid.UUID]bool) {
	t.Helper()
	o := Options{Sync: mode, SyncInterval: time.Millisecond, SegmentBytes: 64 << 10, Logger: silent}
	j := openJournal(t, filepath.Join(disk.mount, "journal"), o)
	finishPending(t, j)
	s := NewShipper(j, ShipperOptions{BatchEvents: 40, BatchDelay: time.Millisecond, BackoffMin: time.Microsecond, BackoffMax: time.Millisecond, Logger: silent})
	s.Use(l)
	ids := powerLoad(t, j, 100)
	if mode == SyncByInterval {
		awaitSync(t, j)
	}
	if mode != SyncNone {
		for _, id := range ids {
			promised[id] = true
		}
	}
	// More than is promised, so that something is there for the failure to take.
	o.Sync = SyncNone
	if err := j.Configure(o); err != nil {
		t.Fatal(err)
	}
	powerLoad(t, j, 20)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	j.syncMu.Lock() // no sync is half done
	image := disk.snapshot()
	j.syncMu.Unlock()
	closeJournal(t, j)
	disk.powerUp(image)
}

// powerLoad has four callers append n events each. Every fifth is suspended
// first, and one of those is never finished. It returns their IDs.
func powerLoad(t *testing.T, j *Journal, n int) (ids []uuid.UUID) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			for i := range n {
				e := newEvent(i)
				record := j.Append
				if i%5 == caller {
					if err := j.Suspend(&PendingCall{Event: e, Key: "task"}); err != nil {
						t.Error(err)
					}
					record = j.Finish
				}
				if i != 5+caller {
					if err := record(&e); err != nil {
						t.Error(err)
					}
				}
				mu.Lock()
				ids = append(ids, e.ID)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return ids
}

// finishPending finishes the calls that the last process left.
func finishPending(t *testing.T, j *Journal) {
	t.Helper()
	left, err := j.PendingCalls()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range left {
		if err := j.Finish(&h.Event); err != nil {
			t.Fatal(err)
		}
	}
}
