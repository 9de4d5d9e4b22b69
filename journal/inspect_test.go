package journal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/usage"
)

// tree is every file under dir, with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// An inspection says what is there, open or not, and changes nothing.
func TestInspect(t *testing.T) {
	dir := t.TempDir()
	if _, err := Inspect(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no journal: %v", err)
	}
	j := openJournal(t, dir, Options{SegmentBytes: 4 << 10})
	l := newFakeLedger()
	l.poison = func(e *usage.Event) bool { return e.Tool == "poison" }
	bad := newEvent(0)
	bad.Tool = "poison"
	if err := j.Append(&bad); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, j, 7)
	ship(t, j, l)
	waiting := appendEvents(t, j, 20)
	suspend(t, j, 3)
	if _, err := j.nextBatch(5); err != nil { // its bounds are written down
		t.Fatal(err)
	}
	s := j.Stats()
	want := Inspection{
		Dir: dir, InUse: true, PendingEvents: 20, PendingBytes: s.PendingBytes, OldestEvent: waiting[0].Time,
		Segments: s.Segments, Bytes: s.Bytes, PendingBatches: 1, SetAsideEvents: 1, PendingCalls: 3,
	}
	check := func() {
		t.Helper()
		before := tree(t, dir)
		got, err := Inspect(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("the files changed (-before +after):\n%s", diff)
		}
	}
	check()
	closeJournal(t, j)
	want.InUse = false
	check()

	names := segments(t, dir)
	last := names[len(names)-1]
	data, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	_, size := parseRecord(data)
	data[recordHeader+5] ^= 1
	if err := os.WriteFile(last, append(data, "torn"...), 0o600); err != nil {
		t.Fatal(err)
	}
	want.PendingEvents--
	want.DamagedBytes = int64(size)
	check()
	if err := os.WriteFile(filepath.Join(dir, "cursor"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if i, err := Inspect(dir); err != nil || i.PendingEvents < 20 {
		t.Errorf("without a cursor all waits: %+v, %v", i, err)
	}
}

// Inspections beside a journal at full speed fail neither themselves nor the
// journal, and see no damage that is not there.
func TestInspectBesideShipping(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{SegmentBytes: 4 << 10, Sync: SyncNone})
	l := newFakeLedger()
	s := NewShipper(j, ShipperOptions{BatchEvents: 10, BatchDelay: time.Microsecond, Logger: silent})
	s.Use(l)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			e := newEvent(1)
			err := j.Append(&e)
			if n%100 == 0 { // or the backlog outgrows the inspections
				err = errors.Join(err, s.Flush(t.Context()))
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for range 200 {
		i, err := Inspect(dir)
		if errors.Is(err, errMoved) { // said so; a caller may try again
			continue
		}
		if err != nil || !i.InUse || i.DamagedBytes != 0 {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	stop()
	wg.Wait()
	if err := errors.Join(s.Flush(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	// Opening the journal waits for an inspection that has the lock.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			if _, err := Inspect(dir); err != nil && !errors.Is(err, errMoved) {
				t.Error(err)
			}
		}
	}()
	for opened := false; !opened; {
		closeJournal(t, openJournal(t, dir, Options{}))
		select {
		case <-done:
			opened = true
		default:
		}
	}
}
