package sse

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// read takes a stream apart that comes in chunks of size bytes. It returns the
// events as lines "field=value", each ended by ";", and the framing.
func read(t interface{ Fatalf(string, ...any) }, stream string, size int) (events string) {
	var r Reader
	var b, whole bytes.Buffer
	for rest := []byte(stream); len(rest) > 0; {
		chunk := rest[:min(size, len(rest))]
		rest = rest[len(chunk):]
		for empty := 0; len(chunk) > 0; {
			part, n := r.Next(chunk)
			if n == 0 {
				if empty++; part != ValueStart || empty > 1 {
					t.Fatalf("%q: part %d of length 0", chunk, part)
				}
			} else {
				empty = 0
			}
			whole.Write(chunk[:n])
			switch part {
			case ValueStart:
				fmt.Fprintf(&b, "%s=", []string{"other", "data", "event", "id"}[r.Field()])
			case Value:
				b.Write(chunk[:n])
			case LineEnd:
				b.WriteByte(';')
			case EventEnd:
				b.WriteString("|")
			}
			chunk = chunk[n:]
		}
	}
	if whole.String() != stream {
		t.Fatalf("the parts of %q are %q", stream, whole.String())
	}
	return b.String()
}

func TestReader(t *testing.T) {
	for _, c := range []struct{ name, stream, want string }{
		{"an event", "event: message\nid: 7\ndata: {}\n\n", "event=message;id=7;data={};|"},
		{"no space, two spaces, no colon", "data:a\ndata:  b\ndata\n\n", "data=a;data= b;data=;|"},
		{"line ends", "data: a\r\ndata: b\rdata: c\n\r\n\r\r", "data=a;data=b;data=c;|||"},
		{"comments and other fields", ": ping\ndatas: x\ndat: y\nretry: 5\nDATA: z\n\n", "other= ping;other=x;other=y;other=5;other=z;|"},
		{"a byte-order mark", "\xef\xbb\xbfdata: a\n\n", "data=a;|"},
		{"half a mark", "\xef\xbbdata: a\n\n", "other=a;|"},
		{"a mark elsewhere", "data: a\n\n\xef\xbb\xbfdata: b\n\n", "data=a;|other=b;|"},
		{"a colon in the value", "id: a:b: c\n", "id=a:b: c;"},
		{"no end", "data: a", "data=a"},
		{"only line ends", "\n\r\n\r", "|||"},
	} {
		// ": ping" has an empty name, whose space is taken off like any other's.
		want := strings.ReplaceAll(c.want, "other= ping", "other=ping")
		for _, size := range []int{len(c.stream), 1, 2, 3} {
			if got := read(t, c.stream, size); got != want {
				t.Errorf("%s, in chunks of %d: %s, want %s", c.name, size, got, want)
			}
		}
	}
}

// TestReaderAgreesWithLines compares with the standard's algorithm on the whole
// text, split into lines first.
func TestReaderAgreesWithLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(0, 30).Draw(t, "parts") {
			b.WriteString(rapid.SampledFrom([]string{"data", "event", "id", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "x", "dat", "\xef\xbb\xbf", "\x00"}).Draw(t, "part"))
		}
		stream := b.String()
		var want strings.Builder
		text := strings.TrimPrefix(stream, byteOrderMark)
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			last := i == len(lines)-1
			name, value, colon := strings.Cut(line, ":")
			if line == "" {
				if !last {
					want.WriteByte('|')
				}
				continue
			}
			if last && !colon {
				continue // the name may go on
			}
			if name != "data" && name != "event" && name != "id" {
				name = "other"
			}
			want.WriteString(name + "=" + strings.TrimPrefix(value, " "))
			if !last {
				want.WriteByte(';')
			}
		}
		got := read(t, stream, rapid.IntRange(1, 40).Draw(t, "size"))
		if diff := cmp.Diff(want.String(), got); diff != "" {
			t.Fatalf("%q: %s", stream, diff)
		}
	})
}

// BenchmarkReader has a CR before every LF, and many CRs before one LF.
func BenchmarkReader(b *testing.B) {
	for name, stream := range map[string]string{
		"one line": "data: " + strings.Repeat("x", 64<<10) + "\n\n",
		"CRs":      "data: " + strings.Repeat("\r", 64<<10) + "\n\n",
		"values":   strings.Repeat("data: x\r", 8<<10) + "\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				var r Reader
				for p := []byte(stream); len(p) > 0; {
					_, n := r.Next(p)
					p = p[n:]
				}
			}
		})
	}
}
