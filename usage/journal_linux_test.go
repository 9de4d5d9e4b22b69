package usage

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// disk is a place that can be filled up and freed.
type disk struct {
	dir        string
	full, free func()
}

// quotaDisk is any directory: full sets the process's limit on file sizes
// (RLIMIT_FSIZE) to what the journal's segment holds and a little more, so
// that the kernel writes a record in part and then refuses with EFBIG.
func quotaDisk(t *testing.T) disk {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	set := func(limit syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		set(before)
		signal.Reset(syscall.SIGXFSZ)
	})
	dir := filepath.Join(t.TempDir(), "journal")
	return disk{dir,
		func() {
			info, err := os.Stat(segments(t, dir)[0])
			if err != nil {
				t.Fatal(err)
			}
			set(syscall.Rlimit{Cur: uint64(info.Size()) + 300, Max: before.Max})
		},
		func() { set(before) },
	}
}

// smallDisk is a file system of 256 KiB; full fills what is left of it. Where
// mounting is not allowed there is none.
func smallDisk(t *testing.T) (disk, bool) {
	mount := t.TempDir()
	err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=256k")
	if errors.Is(err, syscall.EPERM) {
		return disk{}, false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(mount, "ballast")
	return disk{filepath.Join(mount, "journal"),
		func() {
			err := os.WriteFile(ballast, []byte(strings.Repeat("x", 1<<20)), 0o600)
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("filling the disk: %v", err)
			}
		},
		func() {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		},
	}, true
}

// A full disk costs the events that meet it, is survived by what is there,
// also when the process dies of it, and is over as soon as there is room.
func TestDiskFull(t *testing.T) {
	disks := map[string]disk{"quota": quotaDisk(t)}
	if d, ok := smallDisk(t); ok {
		disks["small disk"] = d
	}
	for name, d := range disks {
		t.Run(name, func(t *testing.T) {
			j := openJournal(t, d.dir, JournalOptions{})
			kept := appendEvents(t, j, 20)
			var lost int64
			for range 3 {
				d.full()
				for drops := 0; drops < 20; {
					e := newEvent(len(kept))
					switch err := j.Append(&e); {
					case err == nil:
						kept = append(kept, e)
					case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EFBIG):
						drops++
						lost++
					default:
						t.Fatal(err)
					}
				}
				died := filepath.Join(t.TempDir(), "journal")
				d.free()
				copyDir(t, died, d.dir)
				other, l := openJournal(t, died, JournalOptions{}), newFakeLedger()
				ship(t, other, l)
				l.check(t, kept)
				closeJournal(t, other)
				kept = append(kept, appendEvents(t, j, 20)...)
			}
			l := newFakeLedger()
			ship(t, j, l)
			l.check(t, kept)
			if s := j.Stats(); s.DroppedFailed != lost || s.CorruptRuns != 0 || s.TornBytes != 0 {
				t.Errorf("%d events lost, stats %+v", lost, s)
			}
			closeJournal(t, j)
		})
	}
}

// The shipper needs no room on the disk to make some.
func TestShipOnFullDisk(t *testing.T) {
	d, ok := smallDisk(t)
	if !ok {
		d = quotaDisk(t)
	}
	j := openJournal(t, d.dir, JournalOptions{SegmentBytes: 16 << 10})
	defer closeJournal(t, j)
	kept := appendEvents(t, j, 100)
	d.full()
	l := newFakeLedger()
	ship(t, j, l)
	l.check(t, kept)
	kept = append(kept, appendEvents(t, j, 20)...)
	ship(t, j, l)
	l.check(t, kept)
}

// What a failed write left in the file, and a truncation that fails too, does
// not reach the ledger.
func TestPartialWriteStays(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{})
	kept := appendEvents(t, j, 2)
	e := newEvent(2)
	record, err := appendEvent(beginRecord(nil), &e)
	if err != nil {
		t.Fatal(err)
	}
	record = endRecord(record)
	if _, err := j.file.WriteAt(record[:len(record)-1], j.tail().size); err != nil {
		t.Fatal(err)
	}
	short := Event{ID: e.ID}
	if err := j.Append(&short); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, short)
	closeJournal(t, j)
	j = openJournal(t, dir, JournalOptions{})
	defer closeJournal(t, j)
	if s := j.Stats(); s.TornBytes == 0 {
		t.Errorf("stats %+v: nothing is left of the long record", s)
	}
	l := newFakeLedger()
	ship(t, j, l)
	l.check(t, kept)
}
