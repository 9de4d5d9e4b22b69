package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

func events(t *rapid.T) []usage.Event {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", ",", "\"", "a\nb", "\r\n", "=1+1", "<é>", "null"}))
	number := rapid.OneOf(rapid.Just(usage.NullInt64{}), rapid.Map(rapid.Int64(), usage.Int64))
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) usage.Event {
		var tables []string
		if rapid.Bool().Draw(t, "has tables") {
			tables = rapid.SliceOfN(text, 1, 3).Draw(t, "tables")
		}
		return usage.Event{
			ID:              uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			Time:            time.UnixMicro(rapid.Int64Range(-2e15, 9e15).Draw(t, "ts")).UTC(),
			Server:          text.Draw(t, "server"),
			UserID:          text.Draw(t, "user"),
			UserEmail:       text.Draw(t, "email"),
			KeyID:           text.Draw(t, "key"),
			KeyName:         text.Draw(t, "key name"),
			Tool:            text.Draw(t, "tool"),
			Tables:          tables,
			RecordCount:     number.Draw(t, "records"),
			Outcome:         rapid.SampledFrom(usage.Outcomes).Draw(t, "outcome"),
			HTTPStatus:      number.Draw(t, "status"),
			RPCCode:         number.Draw(t, "code"),
			DurationUS:      rapid.Int64().Draw(t, "duration"),
			RequestBytes:    rapid.Int64().Draw(t, "request bytes"),
			ResponseBytes:   rapid.Int64().Draw(t, "response bytes"),
			SessionID:       text.Draw(t, "session"),
			RequestID:       text.Draw(t, "request"),
			ProtocolVersion: text.Draw(t, "version"),
			ClientName:      text.Draw(t, "client"),
			ClientVersion:   text.Draw(t, "client version"),
			RemoteIP:        text.Draw(t, "ip"),
		}
	}), 0, 20).Draw(t, "events")
}

func write(t interface{ Fatal(...any) }, format string, events []usage.Event) []byte {
	var b bytes.Buffer
	w, err := New(format, &b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := w.Write(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever the events, each format gives them back as they were.
func TestRoundTrip(t *testing.T) {
	for format, read := range map[string]func(*rapid.T, []byte) []usage.Event{
		CSV: readCSV, NDJSON: readNDJSON,
	} {
		t.Run(format, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := events(t)
				got := read(t, write(t, format, want))
				if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
					t.Fatalf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func readNDJSON(t *rapid.T, data []byte) (events []usage.Event) {
	for line := range strings.Lines(string(data)) {
		var e usage.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// readCSV makes JSON of each line, by the names of the first.
func readCSV(t *rapid.T, data []byte) (events []usage.Event) {
	// encoding/csv reads \r\n in a field as \n, and so cannot tell them apart.
	lines, err := csv.NewReader(bytes.NewReader(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\x00CRLF")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		fields := map[string]any{}
		for i, name := range lines[0] {
			text := strings.ReplaceAll(line[i], "\x00CRLF", "\r\n")
			var value any = text
			switch {
			case text == "" && !slices.Contains([]string{"server", "user_id", "user_email", "key_id", "key_name", "tool_name", "request_id", "remote_ip"}, name):
				value = nil
			case name == "tables":
				value = json.RawMessage(text)
			case strings.HasSuffix(name, "_bytes") || name == "duration_us" || name == "record_count" || name == "http_status" || name == "rpc_code":
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					t.Fatal(name, err)
				}
				value = n
			}
			fields[name] = value
		}
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		var e usage.Event
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// Each column is in both formats, under its name and in its place.
func TestEveryColumn(t *testing.T) {
	for _, e := range usagetest.EventPerColumn() {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(write(t, NDJSON, []usage.Event{e})); got != string(data)+"\n" {
			t.Errorf("NDJSON is %s, want %s", got, data)
		}
		lines, err := csv.NewReader(bytes.NewReader(write(t, CSV, []usage.Event{e}))).ReadAll()
		if err != nil || len(lines) != 2 {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		var values map[string]any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&values); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(usage.ColumnNames(usage.Columns), lines[0]); diff != "" || len(values) != len(lines[0]) {
			t.Fatalf("header of CSV (-want +got):\n%s", diff)
		}
		for i, name := range lines[0] {
			want := fmt.Sprint(values[name])
			if list, isList := values[name].([]any); isList {
				text, err := json.Marshal(list)
				if err != nil {
					t.Fatal(err)
				}
				want = string(text)
			} else if values[name] == nil {
				want = ""
			}
			if lines[1][i] != want {
				t.Errorf("CSV has %q for %s, want %q", lines[1][i], name, want)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New("xml", io.Discard); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("error %v", err)
	}
}

// broken takes some bytes and then none.
type broken struct{ left int }

var errBroken = errors.New("no space")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// An error of the underlying writer is returned, at the latest by Close.
func TestWriteFails(t *testing.T) {
	for _, format := range []string{CSV, NDJSON} {
		for _, left := range []int{0, 100_000} {
			w, err := New(format, &broken{left})
			for range 5000 {
				e := usage.Event{ID: uuid.New(), Time: time.Now(), RequestID: uuid.NewString()}
				err = errors.Join(err, w.Write(&e))
			}
			if err = errors.Join(err, w.Close()); !errors.Is(err, errBroken) {
				t.Errorf("%s, after %d bytes: error %v", format, left, err)
			}
		}
	}
}

// However many events there are, the memory stays the same.
func BenchmarkExport(b *testing.B) {
	for _, format := range []string{CSV, NDJSON} {
		b.Run(format, func(b *testing.B) {
			w, err := New(format, io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			e := usage.Event{
				UserID: "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0001", UserEmail: "ada@example.com", KeyName: "my-cursor-key",
				Tool: "query_daily_bars", Tables: []string{"daily_bars"}, RecordCount: usage.Int64(250), Outcome: usage.OK,
				HTTPStatus: usage.Int64(200), DurationUS: 1234, SessionID: "mcp-session-7f0b6a52", RemoteIP: "192.0.2.17",
			}
			var most uint64
			var m runtime.MemStats
			n := 0
			for b.Loop() {
				e.ID = uuid.Must(uuid.NewV7())
				e.Time = time.Now()
				if err := w.Write(&e); err != nil {
					b.Fatal(err)
				}
				if n++; n%10_000 == 0 {
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapAlloc)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// TestTextIsQuoted: every text is in quotes, so that no spreadsheet splits it at
// another character than the comma and finds a formula behind that. Numbers and what
// is unknown are not.
func TestTextIsQuoted(t *testing.T) {
	e := usage.Event{Tool: "a;=1+1", KeyName: `say "x"`, Tables: []string{"t"}, RecordCount: usage.Int64(5)}
	_, row, _ := strings.Cut(string(write(t, SpreadsheetCSV, []usage.Event{e})), "\n")
	for _, want := range []string{`,"a;=1+1",`, `,"say ""x""",`, `,"[""t""]",5,`} {
		if !strings.Contains(row, want) {
			t.Errorf("the row lacks %s: %s", want, row)
		}
	}
}
