package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
)

// hostile draws strings of every kind: text, raw bytes that are no UTF-8, and
// what a record and its frame have to tell apart.
func hostile() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"", "\n", "\x00", "\"", "\\", "\u2028\u2029", "<&>", "\xff", "\xed\xa0\x80", "\xf0\x9f\x98", "\ufffd",
			"\n00000002 00000000 {}\n", "\t", `\N`, `\x09`, "{", `{"event_id":"x"}`, strings.Repeat("é\x80", 100)}),
	)
}

func nullInt64() *rapid.Generator[usage.NullInt64] {
	return rapid.Custom(func(t *rapid.T) usage.NullInt64 {
		if rapid.Bool().Draw(t, "known") {
			return usage.Int64(rapid.Int64().Draw(t, "n"))
		}
		return usage.NullInt64{}
	})
}

func events() *rapid.Generator[usage.Event] {
	return rapid.Custom(func(t *rapid.T) usage.Event {
		text := func(name string) string { return hostile().Draw(t, name) }
		var id uuid.UUID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		return usage.Event{
			ID:        id,
			Time:      time.UnixMicro(rapid.Int64Range(-62135596800e6, 253402300799e6).Draw(t, "time")).UTC(),
			Server:    text("server"),
			UserID:    text("user"),
			UserEmail: text("email"),
			KeyID:     text("key"),
			KeyName:   text("key name"),
			Tool:      text("tool"),
			Tables: rapid.OneOf(rapid.Just[[]string](nil), rapid.SliceOfN(hostile(), 0, 3)).
				Draw(t, "tables"),
			RecordCount:     nullInt64().Draw(t, "records"),
			Outcome:         usage.Outcome(text("outcome")),
			HTTPStatus:      nullInt64().Draw(t, "status"),
			RPCCode:         nullInt64().Draw(t, "code"),
			DurationUS:      rapid.Int64().Draw(t, "duration"),
			RequestBytes:    rapid.Int64().Draw(t, "request bytes"),
			ResponseBytes:   rapid.Int64().Draw(t, "response bytes"),
			SessionID:       text("session"),
			RequestID:       text("request"),
			ProtocolVersion: text("version"),
			ClientName:      text("client"),
			ClientVersion:   text("client version"),
			RemoteIP:        text("ip"),
		}
	})
}

// frame is a payload as a record.
func frame(payload string) []byte {
	return endRecord(append(beginRecord(nil), payload...))
}

// scan returns the payloads that a scanner finds, and the damaged bytes.
func scan(t interface{ Fatal(...any) }, data []byte) (payloads []string, damaged int64) {
	sc := newScanner(bytes.NewReader(data), 0, int64(len(data)))
	for {
		payload, n, err := sc.next()
		damaged += n
		if errors.Is(err, io.EOF) {
			if sc.offset != int64(len(data)) {
				t.Fatal("the scanner ended at ", sc.offset, " of ", len(data))
			}
			return payloads, damaged
		}
		if err != nil {
			t.Fatal(err)
		}
		end := sc.offset - 1
		if !bytes.Equal(data[end-int64(len(payload)):end], payload) {
			t.Fatal("the payload is not what lies before offset ", sc.offset)
		}
		payloads = append(payloads, string(payload))
	}
}

func TestScannerResynchronises(t *testing.T) {
	a, b, c := frame("first"), frame("second"), frame("third")
	all := slices.Concat(a, b, c)
	edit := func(at int, to byte) []byte {
		d := slices.Clone(all)
		d[at] = to
		return d
	}
	huge := bytes.Repeat([]byte{0}, 3*maxPayload)
	for name, tt := range map[string]struct {
		data    []byte
		want    []string
		damaged int
	}{
		"intact":                  {all, []string{"first", "second", "third"}, 0},
		"empty":                   {nil, nil, 0},
		"torn end":                {all[:len(all)-1], []string{"first", "second"}, len(c) - 1},
		"payload":                 {edit(len(a)+recordHeader, 'S'), []string{"first", "third"}, len(b)},
		"checksum":                {edit(len(a)+9, 'x'), []string{"first", "third"}, len(b)},
		"length too long":         {edit(len(a)+5, 'f'), []string{"first", "third"}, len(b)},
		"length too short":        {edit(len(a)+7, '1'), []string{"first", "third"}, len(b)},
		"length absurd":           {edit(len(a), 'f'), []string{"first", "third"}, len(b)},
		"newline":                 {edit(len(a)+len(b)-1, 'x'), []string{"first", "second", "third"}, 0},
		"newline in the payload":  {edit(len(a)+recordHeader+2, '\n'), []string{"first", "third"}, len(b)},
		"zeros between":           {slices.Concat(a, make([]byte, 5000), []byte("\n"), c), []string{"first", "third"}, 5001},
		"zeros without a newline": {slices.Concat(a, make([]byte, 5000)), []string{"first"}, 5000},
		"too long a line":         {slices.Concat(a, huge, []byte("\n"), c), []string{"first", "third"}, len(huge) + 1},
		"too long a line at last": {slices.Concat(a, huge), []string{"first"}, len(huge)},
	} {
		t.Run(name, func(t *testing.T) {
			got, damaged := scan(t, tt.data)
			if diff := cmp.Diff(tt.want, got); diff != "" || damaged != int64(tt.damaged) {
				t.Errorf("%d damaged bytes, want %d; payloads (-want +got):\n%s", damaged, tt.damaged, diff)
			}
		})
	}
}

// A record as long as they get passes, next to others.
func TestScannerLongRecord(t *testing.T) {
	long := strings.Repeat("x", maxPayload)
	got, damaged := scan(t, slices.Concat(frame("a"), frame(long), frame("b")))
	if damaged != 0 || !slices.Equal(got, []string{"a", long, "b"}) {
		t.Errorf("%d damaged bytes, %d payloads", damaged, len(got))
	}
	if got, damaged := scan(t, slices.Concat(frame("a"), frame(long+"x"), frame("b"))); damaged == 0 || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("a record over the limit: %d damaged bytes, %d payloads", damaged, len(got))
	}
}

// Whatever bytes are flipped, every record that is whole is found, nothing
// else is, and order is kept.
func TestScannerFlippedBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payloads := rapid.SliceOfN(rapid.StringMatching(`[ -~]{0,60}`), 1, 20).Draw(t, "payloads")
		var data []byte
		var ends []int
		for i, p := range payloads {
			payloads[i] = fmt.Sprintf("%d %s", i, p) // so that no two are equal
			data = append(data, frame(payloads[i])...)
			ends = append(ends, len(data))
		}
		flipped := make([]bool, len(data))
		for range rapid.IntRange(0, 5).Draw(t, "flips") {
			at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
			data[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
			flipped[at] = true
		}
		got, _ := scan(t, data)
		next, start := 0, 0
		for i, p := range payloads {
			// The newline before belongs to what makes a record recognizable.
			whole := !slices.Contains(flipped[max(0, start-1):ends[i]], true)
			start = ends[i]
			if next < len(got) && got[next] == p {
				next++
			} else if whole {
				t.Fatalf("record %d is whole and was not found", i)
			}
		}
		if next != len(got) {
			t.Fatalf("%q was never written", got[next])
		}
	})
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte{})
	f.Add(slices.Concat(frame(`{"event_id":"00000000-0000-0000-0000-000000000000"}`), frame("{}"), []byte("torn")))
	f.Add([]byte("00000000 00000000 \n\n00000001 00000000 x\n"))
	f.Add([]byte("ffffffff ffffffff \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		payloads, damaged := scan(t, data)
		var intact int64
		for _, p := range payloads {
			intact += int64(len(p) + recordFrame)
		}
		if intact+damaged != int64(len(data)) {
			t.Errorf("%d intact and %d damaged bytes of %d", intact, damaged, len(data))
		}
		// What comes after damage on a line of its own is found.
		after, _ := scan(t, slices.Concat(data, []byte("\n"), frame("after")))
		if len(after) == 0 || after[len(after)-1] != "after" {
			t.Errorf("the record after the damage was not found")
		}
	})
}
