package journal

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
)

// pipeline is a journal, its shipper and a ledger, next to what was appended.
type pipeline struct {
	root, dir string
	j         *Journal
	s         *Shipper
	l         *fakeLedger
	faults    []fault // of the next writes
	appended  []usage.Event
	bad       map[uuid.UUID]bool
}

func (p *pipeline) start(t testingT) {
	p.j = openJournal(t, p.dir, Options{Sync: SyncNone, SegmentBytes: 3 << 9})
	p.s = NewShipper(p.j, ShipperOptions{BatchEvents: 8, BatchDelay: time.Nanosecond, Logger: silent})
}

// die leaves the process's files as they are and goes on with a copy of them.
func (p *pipeline) die(t testingT) {
	next := filepath.Join(p.root, uuid.NewString())
	copyDir(t, next, p.dir)
	closeJournal(t, p.j)
	p.dir = next
}

func (p *pipeline) append(t *rapid.T) {
	for range rapid.IntRange(1, 12).Draw(t, "events") {
		e := newEvent(len(p.appended))
		p.bad[e.ID] = rapid.IntRange(0, 9).Draw(t, "bad") == 0
		if err := p.j.Append(&e); err != nil {
			t.Fatal(err)
		}
		p.appended = append(p.appended, e)
	}
}

func (p *pipeline) step(t *rapid.T) {
	if p.j.Stats().PendingBytes == 0 {
		return
	}
	_ = p.s.step(t.Context(), p.l) // fails when the ledger does
}

// Whatever sequence of appends, failing writes and deaths a journal goes
// through, in the middle of a write, of sending or of splitting: at the end
// every event is in the ledger or set aside, once, and in order.
func TestPipelineModel(t *testing.T) {
	root := memoryDir(t)
	rapid.Check(t, func(t *rapid.T) {
		p := &pipeline{root: root, dir: filepath.Join(root, uuid.NewString()), l: newFakeLedger(), bad: map[uuid.UUID]bool{}}
		p.l.poison = func(e *usage.Event) bool { return p.bad[e.ID] }
		p.l.fault = func(usage.Batch) fault {
			if len(p.faults) == 0 {
				return none
			}
			f := p.faults[0]
			p.faults = p.faults[1:]
			return f
		}
		p.start(t)
		defer func() { closeJournal(t, p.j) }()

		t.Repeat(map[string]func(*rapid.T){
			"append": p.append,
			"ship":   p.step,
			"ship with faults": func(t *rapid.T) {
				p.faults = rapid.SliceOfN(rapid.SampledFrom([]fault{none, fails, losesReply}), 1, 4).Draw(t, "faults")
				for range len(p.faults) {
					p.step(t)
				}
				p.faults = nil
			},
			"die": func(t *rapid.T) {
				p.die(t)
				p.start(t)
			},
			"die in a write": func(t *rapid.T) {
				e := newEvent(-1)
				record, err := appendEvent(beginRecord(nil), &e)
				if err != nil {
					t.Fatal(err)
				}
				record = endRecord(record)
				record = record[:rapid.IntRange(0, len(record)-1).Draw(t, "written")]
				p.append(t) // so that there is a segment that takes appends
				if _, err := p.j.file.WriteAt(record, p.j.tail().size); err != nil {
					t.Fatal(err)
				}
				p.die(t)
				p.start(t)
			},
			"die after sending": func(t *rapid.T) {
				// The ledger has the batch, the journal does not know.
				if p.j.Stats().PendingBytes == 0 {
					return
				}
				b, err := p.j.nextBatch(8)
				if err != nil {
					t.Fatal(err)
				}
				_ = p.l.Write(t.Context(), b.Batch) // rejects, or takes it
				p.die(t)
				p.start(t)
			},
		})

		ship(t, p.j, p.l)
		var good, bad []usage.Event
		for _, e := range p.appended {
			if p.bad[e.ID] {
				bad = append(bad, e)
			} else {
				good = append(good, e)
			}
		}
		p.l.check(t, good)
		if diff := cmp.Diff(ids(bad), ids(rejected(t, p.dir))); diff != "" {
			t.Fatalf("set aside (-want +got):\n%s", diff)
		}
		if s := p.j.Stats(); s.PendingBytes != 0 || s.PendingEvents != 0 || s.CorruptRuns != 0 || s.Segments > 1 {
			t.Fatalf("stats %+v", s)
		}
		if slices.Contains(ids(p.l.rows), uuid.Nil) {
			t.Fatal("an event that was never appended")
		}
	})
}
