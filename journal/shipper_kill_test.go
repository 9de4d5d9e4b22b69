package journal

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

	"github.com/tallygate/tallygate/usage"
)

const (
	killDirEnv  = "TALLYGATE_TEST_KILL_DIR"  // makes the test binary the process that is killed
	killStepEnv = "TALLYGATE_TEST_KILL_STEP" // by itself, at this step
	killNthEnv  = "TALLYGATE_TEST_KILL_NTH"  // when it comes to it for this time
	replayEnv   = "TALLYGATE_TEST_REPLAY"    // has it replay instead of append: known by "token" or by "event"
	killsEnv    = "TALLYGATE_TEST_KILLS"     // how often; 15 when unset, or twice at each step
)

// fileLedger keeps each batch in a file named by its token, so that what it
// took outlives a killed process. Events of the tool "poison" it rejects; with
// faults, it fails now and then, with the batch stored or without.
type fileLedger struct {
	usage.Ledger
	dir    string
	faults bool
}

func (l fileLedger) Write(_ context.Context, b usage.Batch) error {
	dice := rand.IntN(10)
	if l.faults && dice == 0 {
		return errFake
	}
	if slices.ContainsFunc(b.Events, func(e usage.Event) bool { return e.Tool == "poison" }) {
		return usage.ErrRejected
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
func (l fileLedger) events(t *testing.T) (events []usage.Event) {
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
		var batch []usage.Event
		if err := json.Unmarshal(data, &batch); err != nil {
			t.Fatal(err)
		}
		events = append(events, batch...)
	}
	return events
}

// runUntilKilled appends as fast as it can, ships, and prints the ID of every
// event whose Append returned, until the process is killed. It suspends every
// fifth call first and prints that too. It finishes the calls that the process
// before it left pending.
func runUntilKilled(dir string) {
	die := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	say := func(words ...any) {
		_, err := fmt.Fprintln(os.Stdout, words...) // in one write
		die(err)
	}
	var j *Journal
	if step := os.Getenv(killStepEnv); step != "" {
		nth, err := strconv.ParseInt(os.Getenv(killNthEnv), 10, 64)
		die(err)
		testHookStep = dieAt(step, nth, func() *Journal { return j })
	}
	if known := os.Getenv(replayEnv); known != "" {
		l := replayLedger{fileLedger{dir: filepath.Join(dir, "ledger")}, known == "event"}
		die(Replay(context.Background(), filepath.Join(dir, "journal"), l, func(r Replayed) { die(r.Err) }))
		os.Exit(0)
	}
	j, err := Open(filepath.Join(dir, "journal"), Options{
		SegmentBytes: 128 << 10, SyncInterval: time.Millisecond, Logger: silent,
	})
	die(err)
	left, err := j.PendingCalls()
	die(err)
	for _, h := range left {
		die(j.Finish(&h.Event))
		say(h.Event.ID)
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
				if e.DurationUS%500 == 7 {
					e.Tool = "poison"
				}
				record := j.Append
				if e.DurationUS%5 == 0 {
					e.Outcome = usage.Aborted
					die(j.Suspend(&PendingCall{Event: e, Key: "task"}))
					say("suspended", e.ID)
					e.Outcome = usage.OK
					record = j.Finish
				}
				die(record(&e))
				say(e.ID)
				if rand.IntN(100) == 0 { // lets the shipper keep pace, to be killed too
					die(s.Flush(context.Background()))
				}
			}
		}()
	}
	select {}
}

// dieAt kills the process when it comes to a step for the nth time. What is
// called torn dies in the middle of its write.
func dieAt(step string, nth int64, journal func() *Journal) func(string) {
	var times atomic.Int64
	name, torn := strings.CutSuffix(step, " torn")
	return func(at string) {
		if at != name || times.Add(1) != nth {
			return
		}
		j := journal()
		switch half := []byte("000002a4 9ae0b1f3 {"); {
		case torn && at == "append: write":
			_, _ = j.file.WriteAt(half, j.tail().size)
		case torn && at == "cursor: write" && j != nil:
			_, _ = j.cursor.f.WriteAt(half, int64((j.cursor.state.Generation+1)%2)*cursorSlot)
		}
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Kill()
		}
		select {}
	}
}

// killSteps are all the steps that a journal and its shipper pass.
var killSteps = []string{
	"append: write", "append: write torn", "append: done", "segment: create", "segment: sync", "sync: segment",
	"bounds: sync", "bounds: write", "cursor: write", "cursor: write torn", "cursor: sync",
	"send: write", "send: done", "split: write", "set aside: write", "set aside: rename", "set aside: sync",
	"acknowledge: write", "acknowledge: remove",
	"suspend: write", "suspend: rename", "suspend: done", "finish: remove", "finish: done",
}

// killMany kills n times, or as often as the environment says, a hundred times
// each journal, and checks each.
func killMany(t *testing.T, n int, kill func(k *killing, i int)) {
	t.Helper()
	if v := os.Getenv(killsEnv); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	const each = 100
	for first := 0; first < n; first += each {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			k := newKilling(t)
			for i := first; i < min(n, first+each); i++ {
				kill(k, i)
			}
			k.check()
		})
	}
}

// A process that is killed with -9 again and again, at random moments under
// load, loses no event whose Append returned and no suspended call, and
// repeats none.
func TestKill(t *testing.T) {
	killMany(t, 15, func(k *killing, _ int) { k.once("", 0) })
}

// The same at each step that an event takes, in turn.
func TestKillAtEachStep(t *testing.T) {
	killMany(t, 2*len(killSteps), func(k *killing, i int) {
		step, often := killSteps[i%len(killSteps)], 20
		if strings.HasPrefix(step, "append") || strings.HasPrefix(step, "suspend") || strings.HasPrefix(step, "finish") {
			often = 1000
		}
		if strings.HasPrefix(step, "segment") || step == "acknowledge: remove" {
			often = 3
		}
		k.once(step, 1+rand.IntN(often))
	})
}

// killing is a journal and a ledger whose process is killed again and again,
// next to what it said.
type killing struct {
	t         *testing.T
	dir       string
	l         fileLedger
	lives     int
	answered  map[uuid.UUID]int // the life it was appended in
	suspended map[uuid.UUID]int // likewise
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	dir := memoryDir(t) // where nothing waits for a disk, kills meet every step
	k := &killing{t: t, dir: dir, l: fileLedger{dir: filepath.Join(dir, "ledger")}, answered: map[uuid.UUID]int{}, suspended: map[uuid.UUID]int{}}
	if err := os.Mkdir(k.l.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return k
}

// check ends the killing: it finishes the pending calls, ships what is left, and
// counts everything.
func (k *killing) check() {
	t := k.t
	t.Helper()
	j := openJournal(t, filepath.Join(k.dir, "journal"), Options{})
	defer closeJournal(t, j)
	taken := len(k.l.events(t))
	if taken == 0 {
		t.Error("no process lived to ship anything: the kills met appends only")
	}
	left, err := j.PendingCalls()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range left {
		if h.Key != "task" {
			t.Errorf("pending call %+v", h)
		}
		if err := j.Finish(&h.Event); err != nil {
			t.Fatal(err)
		}
	}
	shipBy(t, j, k.l, 1000)

	times := map[uuid.UUID]int{}
	count := func(events []usage.Event) {
		for _, e := range events {
			times[e.ID]++
		}
	}
	shipped, set := k.l.events(t), rejected(t, j.dir)
	count(shipped)
	count(set)
	for what, events := range map[string]map[uuid.UUID]int{"appended": k.answered, "suspended": k.suspended} {
		for id, life := range events {
			if times[id] != 1 {
				t.Errorf("event %s, %s in life %d: %d times", id, what, life, times[id])
			}
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
	if most := len(k.answered) + len(left) + k.lives*5; len(times) > most {
		t.Errorf("%d events, %d answered", len(times), len(k.answered))
	}
	if s := j.Stats(); s.CorruptRuns != 0 || s.PendingCalls != 0 {
		t.Errorf("stats %+v", s)
	}
	if names, err := filepath.Glob(filepath.Join(j.pending.dir, "*")); err != nil || len(names) > 0 {
		t.Errorf("files of pending calls: %v, %v", names, err)
	}
	checkOrder(t, shipped, k.answered)
	t.Logf("%d kills, %d calls answered, %d of them suspended before, %d events in the ledger, %d of them before the last start, %d set aside",
		k.lives, len(k.answered), len(k.suspended), len(shipped), taken, len(set))
}

// once runs the process until it has said enough and kills it, or until it dies
// at a step.
func (k *killing) once(step string, nth int) {
	t := k.t
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDirEnv+"="+k.dir, killStepEnv+"="+step, fmt.Sprint(killNthEnv, "=", nth))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after, said := 1+rand.IntN(2000), 0
	for lines := bufio.NewScanner(out); lines.Scan(); said++ {
		text, suspended := strings.CutPrefix(lines.Text(), "suspended ")
		id, err := uuid.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if suspended {
			k.suspended[id] = k.lives
		} else {
			k.answered[id] = k.lives
		}
		if step == "" && said == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("step %q, time %d: the process ended by itself: %v", step, nth, err)
	}
	k.lives++
}

// checkOrder holds each worker's events of each life to the order in which
// they were appended.
func checkOrder(t *testing.T, shipped []usage.Event, answered map[uuid.UUID]int) {
	t.Helper()
	type caller struct {
		life   int
		worker string
	}
	last := map[caller]usage.Event{}
	for _, e := range shipped {
		life, ok := answered[e.ID]
		if !ok || e.Outcome == usage.Aborted { // suspended before the process died, finished after
			continue
		}
		c := caller{life, e.RequestID}
		if cmp.Less(e.DurationUS, last[c].DurationUS) {
			t.Errorf("life %d, worker %s: event %d came after %d", c.life, c.worker, e.DurationUS, last[c].DurationUS)
		}
		last[c] = e
	}
}
