package journal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// An event is read from a record as it is read from its JSON.
func TestEventInRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")
		ours, err := appendEvent(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(ours, "\n\x00") {
			t.Fatalf("a newline or a zero in %q", ours)
		}
		theirs, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var want usage.Event
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatal(err)
		}
		var got usage.Event
		if err := readEvent(ours, &got); err != nil {
			t.Fatalf("%v: %q", err, ours)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("events differ (-want +got):\n%s", diff)
		}
		if id, ok := eventID(ours); !ok || id != e.ID {
			t.Fatalf("the ID of %q is %s, %v", ours, id, ok)
		}
		if want.ID != e.ID || !want.Time.Equal(e.Time) {
			t.Fatalf("id and time %s %s became %s %s", e.ID, e.Time, want.ID, want.Time)
		}
	})
}

// The columns are in the places that docs/ledger.md names.
func TestAppendEvent(t *testing.T) {
	e := newEvent(7)
	e.Time = time.Date(2026, 11, 29, 10, 20, 30, 4000, time.UTC)
	e.KeyName, e.ClientName = "tab\t, back\\slash, \xff", ""
	e.Tables = []string{"daily_bars", "stock,basic"}
	want := e.ID.String() + "\t2026-11-29T10:20:30.000004Z\tstock-data\t0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0001\tada@example.com\t" +
		"0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0002\ttab\\x09, back\\x5cslash, \ufffd\tquery_daily_bars\tdaily_bars,stock\\x2cbasic,\t250\tok\t200\t\t1234\t180\t20480\t" +
		"mcp-session-7f0b6a52\t7\t2025-11-25\t\t2.1.0\t192.0.2.17"
	got, err := appendEvent(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	// Columns that were added since the first release come after these.
	if diff := cmp.Diff(want, string(got[:min(len(got), len(want))])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.Tables = nil
	if got, err := appendEvent(nil, &e); err != nil || !bytes.Contains(got, []byte("\tquery_daily_bars\t\\N\t250\t")) {
		t.Errorf("%q, %v: unknown tables are not \\N", got, err)
	}
}

func TestAppendEventImpossibleTime(t *testing.T) {
	e := usage.Event{Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := appendEvent(nil, &e); err == nil || !strings.Contains(err.Error(), e.ID.String()) {
		t.Errorf("error %v, want one that names the event", err)
	}
}

// A payload that is not an event is refused as a whole.
func TestNoEvent(t *testing.T) {
	e := newEvent(1)
	record, err := appendEvent(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{e.ID.String(), ""}, {e.ID.String(), "x"}, {"T", " "}, {"ada", "a\xffa"}, {"ada", `a\`}, {"ada", `a\x4`}, {"ada", `\x41`}, {"ada", `\xzz`}, {"ada", `\N`},
		{"1234", ""}, {"1234", "1x"}, {"1234", "12345678901234567890"}, {"\t250", "\t2.5"}, {"daily_bars,", "daily_bars"}, {"daily_bars,", `\N,`}, {"daily_bars,", `\x41,`},
	} {
		changed := strings.Replace(string(record), change[0], change[1], 1)
		if changed == string(record) {
			t.Fatalf("%q is not in %q", change[0], record)
		}
		var got usage.Event
		if readEvent([]byte(changed), &got) == nil {
			t.Errorf("%q for %q was read: %+v", change[1], change[0], got)
		}
	}
	for _, payload := range []string{"", "{", `{"event_id":"`, `{"event_id":7}`, e.ID.String(), "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e000x\t"} {
		if id, ok := eventID([]byte(payload)); ok {
			t.Errorf("%q: %s", payload, id)
		}
	}
}

// An event that is read is read back the same when it is written again.
func FuzzReadEvent(f *testing.F) {
	e := newEvent(1)
	e.KeyName = "\"\\\n\u2028"
	ours, err := appendEvent(nil, &e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ours)
	f.Add(bytes.ReplaceAll(ours, []byte("daily_bars,"), []byte(unknownList)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want, got usage.Event
		if readEvent(payload, &want) != nil {
			return
		}
		again, err := appendEvent(nil, &want)
		if err != nil {
			t.Fatal(err)
		}
		if err := readEvent(again, &got); err != nil {
			t.Fatalf("%v: %q", err, again)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}

// Each stored column is in the record: an event with that column alone is read
// back.
func TestEveryColumnInRecord(t *testing.T) {
	for _, want := range usagetest.EventPerColumn() {
		payload, err := appendEvent(nil, &want)
		if err != nil {
			t.Fatal(err)
		}
		var got usage.Event
		if err := readEvent(payload, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", payload, diff)
		}
	}
}

// A record may end early, but not before the first release's columns, and it may
// not have more values than there are columns.
func TestRecordEndsEarly(t *testing.T) {
	e := newEvent(1)
	payload, err := appendEvent(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	payload = append(payload, "\tx"...)
	for values := len(usage.StoredColumns) + 1; values > 0; values-- {
		var got usage.Event
		if err := readEvent(payload, &got); (err == nil) != (values >= fewestColumns && values <= len(usage.StoredColumns)) {
			t.Errorf("%d values: error %v", values, err)
		}
		payload = payload[:max(bytes.LastIndexByte(payload, '\t'), 0)]
	}
}
