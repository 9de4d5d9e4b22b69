package journal

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
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
			j := openJournal(t, d.dir, Options{})
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
				other, l := openJournal(t, died, Options{}), newFakeLedger()
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
	j := openJournal(t, d.dir, Options{SegmentBytes: 16 << 10})
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
	j := openJournal(t, dir, Options{})
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
	short := usage.Event{ID: e.ID}
	if err := j.Append(&short); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, short)
	closeJournal(t, j)
	j = openJournal(t, dir, Options{})
	defer closeJournal(t, j)
	if s := j.Stats(); s.TornBytes == 0 {
		t.Errorf("stats %+v: nothing is left of the long record", s)
	}
	l := newFakeLedger()
	ship(t, j, l)
	l.check(t, kept)
}

// Where calls are refused instead, a full disk costs no more than the call that
// finds out, and is noticed to be over without one.
func TestRefuseOnFullDisk(t *testing.T) {
	d, ok := smallDisk(t)
	if !ok {
		d = quotaDisk(t)
	}
	j := openJournal(t, d.dir, Options{OnFull: RefuseWhenFull})
	defer closeJournal(t, j)
	kept := appendEvents(t, j, 20)
	var lost int64
	for range 3 {
		d.full()
		for admitted := true; admitted; admitted = j.Admit() == nil {
			e := newEvent(1)
			if err := j.Append(&e); err == nil {
				kept = append(kept, e)
			} else {
				lost++
			}
		}
		for range 3 {
			retryNow(j)
			if err := j.Admit(); !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EFBIG) {
				t.Fatalf("a full disk: %v", err)
			}
		}
		d.free()
		retryNow(j)
		if err := j.Admit(); err != nil {
			t.Fatalf("a disk that has room again: %v", err)
		}
		kept = append(kept, appendEvents(t, j, 20)...)
	}
	if s := j.Stats(); s.DroppedFailed != lost || lost != 3 || s.CorruptRuns != 0 {
		t.Errorf("%d events lost, stats %+v", lost, s)
	}
	l := newFakeLedger()
	ship(t, j, l)
	l.check(t, kept)
}

// A call that cannot be suspended on a full disk leaves nothing behind. One that
// was suspended before and finishes then is lost like any other, and counted.
func TestSuspendOnFullDisk(t *testing.T) {
	d, ok := smallDisk(t)
	if !ok {
		d = quotaDisk(t)
	}
	j := openJournal(t, d.dir, Options{})
	kept := appendEvents(t, j, 20)
	pending := suspend(t, j, 2)
	d.full()
	large := newPendingCall(3)
	large.Key = strings.Repeat("x", 512<<10)
	if err := j.Suspend(&large); !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EFBIG) {
		t.Errorf("error %v", err)
	}
	finished := pending[0].Event
	finished.ClientName = large.Key
	if err := j.Finish(&finished); !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EFBIG) {
		t.Errorf("error %v", err)
	}
	d.free()
	if s := j.Stats(); s.DroppedFailed != 1 || s.PendingCalls != 1 {
		t.Errorf("stats %+v", s)
	}
	closeJournal(t, j)
	j = openJournal(t, d.dir, Options{})
	defer closeJournal(t, j)
	checkPending(t, j, pending[1:])
	l := newFakeLedger()
	ship(t, j, l)
	l.check(t, kept)
}

// retryNow has the next Admit try the disk, however long ago it did last.
func retryNow(j *Journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastProbe = time.Time{}
}

// A folder that turned read-only takes what its open segment takes, costs the
// events after that, ships, and takes events again when it may be written.
func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 { // whom no mode keeps from writing
		runAsNobody(t)
		return
	}
	dir := filepath.Join(t.TempDir(), "journal")
	o := Options{SegmentBytes: 4 << 10, OnFull: RefuseWhenFull}
	j := openJournal(t, dir, o)
	kept := appendEvents(t, j, 20)
	pending := suspend(t, j, 2)
	chmod := func(mode os.FileMode) {
		for _, d := range []string{dir, j.pending.dir} {
			if err := os.Chmod(d, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() { chmod(0o700) })
	l := newFakeLedger()
	for round := range 3 {
		chmod(0o500)
		var lost int
		for lost == 0 {
			e := newEvent(len(kept))
			switch err := j.Append(&e); {
			case err == nil:
				kept = append(kept, e)
			case errors.Is(err, fs.ErrPermission):
				lost++
			default:
				t.Fatal(err)
			}
		}
		retryNow(j)
		if err := j.Admit(); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Admit: %v", err)
		}
		h := newPendingCall(1)
		if err := j.Suspend(&h); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Suspend: %v", err)
		}
		before := len(segments(t, dir))
		ship(t, j, l)
		l.check(t, kept)
		if n := len(segments(t, dir)); n != before {
			t.Errorf("%d segments of %d are left in a folder that is read-only", n, before)
		}
		chmod(0o700)
		retryNow(j)
		if err := j.Admit(); err != nil {
			t.Errorf("Admit, after the folder may be written again: %v", err)
		}
		kept = append(kept, appendEvents(t, j, 20)...)
		if s := j.Stats(); s.DroppedFailed != int64(round+1) {
			t.Errorf("stats %+v", s)
		}
	}
	// A call whose end is appended and whose file cannot be removed.
	chmod(0o500)
	if err := j.Finish(&pending[0].Event); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, pending[0].Event)
	ship(t, j, l)
	closeJournal(t, j)
	if _, err := Open(dir, o); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
		t.Errorf("opened in a folder that is read-only: %v", err)
	}
	chmod(0o700)
	j = openJournal(t, dir, o)
	defer closeJournal(t, j)
	checkPending(t, j, pending[1:])
	ship(t, j, l)
	l.check(t, kept)
	if n := len(segments(t, dir)); n > 1 {
		t.Errorf("%d segments are left", n)
	}
}

// runAsNobody runs the test again in a process without privileges.
func runAsNobody(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tallygate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
