package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// historyLedger is a fakeLedger that shows what it has.
type historyLedger struct{ *fakeLedger }

func (l historyLedger) History(_ context.Context, q usage.HistoryQuery) (page usage.HistoryPage, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return historyOf(l.rows, q)
}

func historyOf(rows []usage.Event, q usage.HistoryQuery) (usage.HistoryPage, error) {
	newestFirst := func(a, b usage.Event) int {
		return cmp.Or(b.Time.Compare(a.Time), slices.Compare(b.ID[:], a.ID[:]))
	}
	rows = slices.DeleteFunc(slices.Clone(rows), func(e usage.Event) bool {
		return !q.From.IsZero() && e.Time.Before(q.From) || !q.To.IsZero() && !e.Time.Before(q.To) ||
			q.UserID != "" && e.UserID != q.UserID
	})
	slices.SortFunc(rows, newestFirst)
	total, from := int64(len(rows)), min(len(rows), (q.Page-1)*q.PageSize)
	if q.Cursor != "" {
		c, err := usage.ParseCursor(q.Cursor)
		if err != nil {
			return usage.HistoryPage{}, err
		}
		from = 0
		for from < len(rows) && newestFirst(rows[from], usage.Event{Time: c.Time, ID: c.ID}) <= 0 {
			from++
		}
	}
	return usage.NewHistoryPage(rows[from:], q.PageSize, total), nil
}

// setAsideAll puts n events into the journal at dir and has them set aside.
func setAsideAll(t *testing.T, dir string, n int) []usage.Event {
	t.Helper()
	j := openJournal(t, dir, Options{})
	defer closeJournal(t, j)
	events := appendEvents(t, j, n)
	l := newFakeLedger()
	l.poison = func(*usage.Event) bool { return true }
	ship(t, j, l)
	if got := rejected(t, dir); len(got) != n {
		t.Fatalf("%d events set aside, want %d", len(got), n)
	}
	return events
}

// What the ledger takes now is stored once and its file goes; what it rejects
// again or what is damaged stays.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	events := setAsideAll(t, dir, 5)
	if err := os.WriteFile(filepath.Join(dir, "rejected", "0-damaged.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := historyLedger{newFakeLedger()}
	l.poison = func(e *usage.Event) bool { return e.ID == events[2].ID }
	l.rows = append(l.rows, events[4])  // by an earlier Replay, whose token is forgotten
	j := openJournal(t, dir, Options{}) // as a gate that runs has it
	defer closeJournal(t, j)
	replay := func() (said []string) {
		err := Replay(t.Context(), dir, l, func(r Replayed) {
			switch {
			case r.Err == nil:
				said = append(said, "sent "+r.Event.RequestID)
			case errors.Is(r.Err, usage.ErrRejected):
				said = append(said, "rejected "+r.Event.RequestID)
			default:
				said = append(said, filepath.Base(r.File))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	if diff := gocmp.Diff([]string{"0-damaged.json", "sent 0", "sent 1", "rejected 2", "sent 3", "sent 4"}, replay()); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]string{"0-damaged.json", "rejected 2"}, replay()); diff != "" {
		t.Errorf("said the second time (-want +got):\n%s", diff)
	}
	l.check(t, []usage.Event{events[4], events[0], events[1], events[3]})
	if err := os.Remove(filepath.Join(dir, "rejected", "0-damaged.json")); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(events[2:3], rejected(t, dir)); diff != "" {
		t.Errorf("still set aside (-want +got):\n%s", diff)
	}
}

// A ledger that is away ends the replay, and nothing is given up.
func TestReplayWithoutLedger(t *testing.T) {
	dir := t.TempDir()
	events := setAsideAll(t, dir, 3)
	for _, f := range []fault{fails, losesReply} {
		l := historyLedger{newFakeLedger()}
		l.fault = nth(f, 2)
		err := Replay(t.Context(), dir, l, func(Replayed) {})
		if !errors.Is(err, errFake) {
			t.Errorf("error %v", err)
		}
		if err := Replay(t.Context(), dir, l, func(Replayed) {}); err != nil {
			t.Error(err)
		}
		l.check(t, events)
		events = setAsideAll(t, dir, 3)
	}
}

// An event whose gate died between setting it aside and noting that it did is
// sent by both, and is stored once.
func TestReplayBesideTheGate(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	events := appendEvents(t, j, 1)
	b, err := j.nextBatch(100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.setAside(b, usage.ErrRejected); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	l := historyLedger{newFakeLedger()}
	if err := Replay(t.Context(), dir, l, func(Replayed) {}); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir, Options{})
	defer closeJournal(t, j)
	ship(t, j, l)
	l.check(t, events)
}

// replayLedger is a fileLedger that knows what it has by the token, as it
// does, or else by nothing but the event itself.
type replayLedger struct {
	fileLedger
	byEvent bool
}

func (l replayLedger) Write(ctx context.Context, b usage.Batch) error {
	if l.byEvent {
		b.Token = uuid.NewString() + "-" + b.Token
	}
	return l.fileLedger.Write(ctx, b)
}

func (l replayLedger) History(_ context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	if !l.byEvent {
		return usage.HistoryPage{}, nil
	}
	var rows []usage.Event
	names, err := filepath.Glob(filepath.Join(l.dir, "*-*"))
	if err != nil {
		return usage.HistoryPage{}, err
	}
	for _, name := range names {
		var events []usage.Event
		data, err := os.ReadFile(name)
		if err == nil && !strings.HasSuffix(name, ".tmp") {
			err = json.Unmarshal(data, &events)
		}
		if err != nil {
			return usage.HistoryPage{}, err
		}
		rows = append(rows, events...)
	}
	return historyOf(rows, q)
}

// A replay that is killed with -9 at any of its steps, and started again,
// stores each event once: be it known by its token or by itself.
func TestKillReplay(t *testing.T) {
	for _, known := range []string{"token", "event"} {
		dir := memoryDir(t)
		const n = 12
		events := setAsideAll(t, filepath.Join(dir, "journal"), n)
		l := replayLedger{fileLedger{dir: filepath.Join(dir, "ledger")}, known == "event"}
		if err := os.Mkdir(l.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		kills := 0
		for ended := false; !ended; {
			step := []string{"replay: write", "replay: remove"}[kills%2]
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), killDirEnv+"="+dir, killStepEnv+"="+step, killNthEnv+"=2", replayEnv+"="+known)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			switch {
			case err == nil:
				ended = true
			case errors.As(err, &exit) && exit.ExitCode() == -1:
				kills++
			default:
				t.Fatalf("%v\n%s", err, out)
			}
		}
		if kills < n/2 {
			t.Errorf("%d kills", kills)
		}
		stored := l.events(t)
		if diff := gocmp.Diff(ids(events), ids(stored)); diff != "" {
			t.Errorf("known by the %s: events after %d kills (-want +got):\n%s", known, kills, diff)
		}
		if left := rejected(t, filepath.Join(dir, "journal")); len(left) > 0 {
			t.Errorf("%d events are still set aside", len(left))
		}
	}
}
