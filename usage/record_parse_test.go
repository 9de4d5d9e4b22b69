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
		p := eventParser{rest: string(ours)}
		got := p.event()
		if p.bad || p.rest != "" {
			t.Fatalf("not read: %s", ours)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("events differ (-want +got):\n%s", diff)
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
