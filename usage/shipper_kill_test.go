package usage

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

const (
	killDirEnv = "TALLYGATE_TEST_KILL_DIR" // makes the test binary the process that is killed
	killsEnv   = "TALLYGATE_TEST_KILLS"    // how often; 15 when unset
)

// fileLedger keeps each batch in a file named by its token, so that what it
// took outlives a killed process. Events of the tool "poison" it rejects; with
// faults, it fails now and then, with the batch stored or without.
type fileLedger struct {
	Ledger
	dir    string
	faults bool
}

func (l fileLedger) Write(_ context.Context, b Batch) error {
	dice := rand.IntN(10)
	if l.faults && dice == 0 {
		return errFake
	}
	if slices.ContainsFunc(b.Events, func(e Event) bool { return e.Tool == "poison" }) {
		return ErrRejected
	}
	name := filepath.Join(l.dir, b.Token)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		data, err := json.Marshal(b.Events)
		if err == nil {
			err = os.WriteFile(name+".tmp", data, 0o600)
		}
		if err == nil {
			err = os.Rename(name+".tmp", name)
		}
		if err != nil {
			return err
		}
	}
	if l.faults && dice == 1 {
		return errFake
	}
	return nil
}

// events returns what the ledger holds, batch by batch.
func (l fileLedger) events(t *testing.T) (events []Event) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(l.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, ".tmp") })
	from := func(name string) (p position) {
		parts := strings.Split(filepath.Base(name), "-")
		if _, err := fmt.Sscanf(parts[len(parts)-2], "%d.%d", &p.Segment, &p.Offset); err != nil {
			t.Fatal(name, err)
		}
		return p
	}
	slices.SortFunc(names, func(a, b string) int { return from(a).compare(from(b)) })
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var batch []Event
		if err := json.Unmarshal(data, &batch); err != nil {
			t.Fatal(err)
		}
		events = append(events, batch...)
	}
	return events
}

// runUntilKilled appends as fast as it can, ships, and prints the id of every
// event whose Append returned, until the process is killed.
func runUntilKilled(dir string) {
	die := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	j, err := OpenJournal(filepath.Join(dir, "journal"), JournalOptions{
		SegmentBytes: 128 << 10, SyncInterval: time.Millisecond, Logger: silent,
	})
	if err != nil {
		die(err)
	}
	s := NewShipper(j, ShipperOptions{
		BatchEvents: 100, BatchDelay: time.Millisecond, BackoffMin: time.Microsecond, BackoffMax: time.Millisecond, Logger: silent,
	})
	s.Use(fileLedger{dir: filepath.Join(dir, "ledger"), faults: true})
	var number atomic.Int64
	for worker := range 4 {
		go func() {
			for {
				e := newEvent(worker)
				e.DurationUS = number.Add(1) // grows with each worker's events
				if e.DurationUS%500 == 0 {
					e.Tool = "poison"
				}
				if err := j.Append(&e); err != nil {
					die(err)
				}
				if _, err := os.Stdout.WriteString(e.ID.String() + "\n"); err != nil {
					die(err)
				}
				if rand.IntN(100) == 0 { // lets the shipper keep pace, to be killed too
					if err := s.Flush(context.Background()); err != nil {
						die(err)
					}
				}
			}
		}()
	}
	select {}
}

// A process that is killed with -9 again and again, at random moments under
// load, loses no event whose Append returned, and repeats none.
func TestKill(t *testing.T) {
	kills := 15
	if v := os.Getenv(killsEnv); v != "" {
		var err error
		if kills, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	dir := memoryDir(t) // where nothing waits for a disk, kills meet every step
	l := fileLedger{dir: filepath.Join(dir, "ledger")}
	if err := os.Mkdir(l.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	answered := map[uuid.UUID]int{} // the life it was appended in
	for life := range kills {
		n := killOnce(t, dir, life, answered)
		if n == 0 {
			t.Fatal("the process was killed before it appended anything")
		}
	}

	j := openJournal(t, filepath.Join(dir, "journal"), JournalOptions{})
	defer closeJournal(t, j)
	taken := len(l.events(t))
	if taken == 0 {
		t.Error("no process lived to ship anything: the kills met appends only")
	}
	shipBy(t, j, l, 1000)

	times := map[uuid.UUID]int{}
	count := func(events []Event) {
		for _, e := range events {
			times[e.ID]++
		}
	}
	shipped, set := l.events(t), rejected(t, j.dir)
	count(shipped)
	count(set)
	for id, life := range answered {
		if times[id] != 1 {
			t.Errorf("event %s of life %d: %d times", id, life, times[id])
		}
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("event %s: %d times", id, n)
		}
	}
	for _, e := range set {
		if e.Tool != "poison" {
			t.Errorf("event %s was set aside", e.ID)
		}
	}
	// Appends that a kill caught between the write and the answer add a few.
	if most := len(answered) + kills*4; len(times) > most {
		t.Errorf("%d events, %d answered", len(times), len(answered))
	}
	if s := j.Stats(); s.CorruptRuns != 0 {
		t.Errorf("stats %+v", s)
	}
	checkOrder(t, shipped, answered)
	t.Logf("%d kills, %d events answered, %d in the ledger, %d of them before the last start, %d set aside",
		kills, len(answered), len(shipped), taken, len(set))
}

// killOnce runs the process until it has answered for some events, kills it,
// and adds the events to answered.
func killOnce(t *testing.T, dir string, life int, answered map[uuid.UUID]int) (n int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := 1 + rand.IntN(2000)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, err := uuid.Parse(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		answered[id] = life
		if n++; n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the process ended by itself: %v", err)
	}
	return n
}

// checkOrder holds each worker's events of each life to the order in which
// they were appended.
func checkOrder(t *testing.T, shipped []Event, answered map[uuid.UUID]int) {
	t.Helper()
	type caller struct {
		life   int
		worker string
	}
	last := map[caller]Event{}
	for _, e := range shipped {
		life, ok := answered[e.ID]
		if !ok {
			continue
		}
		c := caller{life, e.RequestID}
		if cmp.Less(e.DurationUS, last[c].DurationUS) {
			t.Errorf("life %d, worker %s: event %d came after %d", c.life, c.worker, e.DurationUS, last[c].DurationUS)
		}
		last[c] = e
	}
}
