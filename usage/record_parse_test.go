package usage

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What appendEvent writes is read without encoding/json, and means the same.
func TestReadEventOfOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")
		ours, err := appendEvent(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		var want Event
		if err := want.UnmarshalJSON(ours); err != nil {
			t.Fatal(err)
		}
		r := newEventReader()
		for range 2 { // the second time, it has met all of it before
			var got Event
			r.rest = ours
			r.event(&got)
			if r.bad || len(r.rest) > 0 {
				t.Fatalf("not read: %s", ours)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("events differ (-want +got):\n%s", diff)
			}
		}
	})
}

// One reader reads many events, alike and not, as if each were the first.
func TestEventReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(events(), 1, 4).Draw(t, "events")
		r := newEventReader()
		for range rapid.IntRange(1, 10).Draw(t, "reads") {
			e := rapid.SampledFrom(some).Draw(t, "event")
			other := rapid.SampledFrom(some).Draw(t, "other")
			if rapid.Bool().Draw(t, "mixed") {
				e.UserID, e.Tool, e.Tables, e.SessionID = other.UserID, other.Tool, other.Tables, other.SessionID
			}
			payload, err := appendEvent(nil, &e)
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(t, "damage") == 0 {
				payload[rapid.IntRange(0, len(payload)-1).Draw(t, "at")] = rapid.SampledFrom([]byte(`"\,]}x`)).Draw(t, "byte")
			}
			var got, want Event
			gotErr, wantErr := r.read(payload, &got), want.UnmarshalJSON(payload)
			if (gotErr != nil) != (wantErr != nil) {
				t.Fatalf("errors %v and %v of %s", gotErr, wantErr, payload)
			}
			if diff := cmp.Diff(want, got); gotErr == nil && diff != "" {
				t.Fatalf("events differ (-want +got):\n%s", diff)
			}
			got.Tables = append(got.Tables, "appended") // touches nobody else's
		}
	})
}

// Of anything else, readEvent makes what encoding/json makes.
func FuzzReadEvent(f *testing.F) {
	e := newEvent(1)
	e.KeyName = "\"\\\n\u2028"
	ours, err := appendEvent(nil, &e)
	if err != nil {
		f.Fatal(err)
	}
	theirs, err := json.Marshal(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ours)
	f.Add(theirs)
	f.Add([]byte(`{"event_id":7}`))
	for _, change := range [][2]string{
		{`:1234`, `:+1234`}, {`:1234`, `:01234`}, {`:1234`, `:-0`}, {`null`, `"x"`}, {"ada", "a\x00a"}, {"ada", "a\xffa"},
		{`\n`, `\n`}, {`\u000a`, `\u00e9`}, {`\u000a`, `\ud800`}, {`["`, `["",`}, {`"]`, `",]`}, {`}`, `},`}, {`,"ts"`, ` ,"ts"`},
	} {
		changed := strings.Replace(string(ours), change[0], change[1], 1)
		if changed == string(ours) && change[0] != change[1] {
			f.Fatalf("%q is not in %s", change[0], ours)
		}
		f.Add([]byte(changed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var got, want Event
		gotErr, wantErr := readEvent(payload, &got), json.Unmarshal(payload, &want)
		if (gotErr != nil) != (wantErr != nil) {
			t.Fatalf("errors %v and %v", gotErr, wantErr)
		}
		if diff := cmp.Diff(want, got); gotErr == nil && diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}
