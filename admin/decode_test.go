package admin

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/usage"
	"pgregory.net/rapid"
)

var fields = []string{"key_name", "expires_days"}

func TestParseObject(t *testing.T) {
	for _, c := range []struct{ body, words string }{
		{``, "the body is empty: send a JSON object with key_name and expires_days"},
		{" \r\n\t", "the body is empty"},
		{"\ufeff{}", "not valid JSON at byte 1"},
		{"{\"key_name\":\"\xff\"}", "not valid UTF-8"},
		{`{`, "ends too early"},
		{`{"key_name":"a"`, "ends too early"},
		{`{"key_name":a}`, "not valid JSON at byte 13"},
		{`{'key_name':'a'}`, "not valid JSON at byte 2"},
		{`{"key_name":"a",}`, "not valid JSON at byte 17"},
		{`{"expires_days":01}`, "not valid JSON"},
		{`{"expires_days":NaN}`, "not valid JSON"},
		{`{}{}`, "more after its JSON object, from byte 3 on"},
		{`{} x`, "more after its JSON object"},
		{`{}]`, "more after its JSON object"},
		{"{}\x00", "more after its JSON object"},
		{`[]`, "must be a JSON object with key_name and expires_days, not an array"},
		{`"key_name"`, "not a string"},
		{`null`, "not null"},
		{`true`, "not a boolean"},
		{`1`, "not a number"},
		{`{"color":1}`, `unknown field "color": the fields are key_name and expires_days`},
		{`{"Key_Name":"a"}`, `unknown field "Key_Name"`},
		{`{"":1}`, `unknown field ""`},
		{`{"` + strings.Repeat("x", 1000) + `":1}`, `unknown field "` + strings.Repeat("x", 40) + `…"`},
		{`{"key_name":"a","key_name":"a"}`, "key_name is given twice"},
		{`{"key_name":"a","key\u005fname":"b"}`, "key_name is given twice"},
	} {
		o, err := parseObject([]byte(c.body), fields)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%q gives %v, %v; want an error with %q", c.body, o, err, c.words)
		}
	}
}

func TestFields(t *testing.T) {
	for _, c := range []struct {
		body, words string
		days        int
	}{
		{`{"key_name":"a"}`, "", 0},
		{`{"key_name":"a","expires_days":null}`, "", 0},
		{`{"key_name":"a","expires_days":1}`, "", 1},
		{` {"key_name":"a" , "expires_days": 3650 } `, "", 3650},
		{`{}`, "key_name is missing", 0},
		{`{"key_name":""}`, "key_name is empty", 0},
		{`{"key_name":null}`, "key_name must be a string, not null", 0},
		{`{"key_name":7}`, "key_name must be a string, not a number", 0},
		{`{"key_name":["a"]}`, "key_name must be a string, not an array", 0},
		{`{"key_name":{"a":"a","a":"b"}}`, "key_name must be a string, not an object", 0},
		{`{"key_name":"a","expires_days":0}`, `expires_days must be a whole number from 1 to 3650, not "0"`, 0},
		{`{"key_name":"a","expires_days":-0}`, `not "-0"`, 0},
		{`{"key_name":"a","expires_days":-1}`, `not "-1"`, 0},
		{`{"key_name":"a","expires_days":3651}`, `not "3651"`, 0},
		{`{"key_name":"a","expires_days":1000000}`, `not "1000000"`, 0},
		{`{"key_name":"a","expires_days":1.5}`, `not "1.5"`, 0},
		{`{"key_name":"a","expires_days":90.0}`, `not "90.0"`, 0},
		{`{"key_name":"a","expires_days":9e1}`, `not "9e1"`, 0},
		{`{"key_name":"a","expires_days":99999999999999999999999}`, `not "99999999999999999999999"`, 0},
		{`{"key_name":"a","expires_days":"90"}`, `not a string`, 0},
		{`{"key_name":"a","expires_days":true}`, `not a boolean`, 0},
		{`{"key_name":"a","expires_days":[90]}`, `not an array`, 0},
		{`{"key_name":"a","expires_days":{}}`, `not an object`, 0},
	} {
		days, err := readFields([]byte(c.body))
		switch {
		case c.words == "" && (err != nil || days != c.days):
			t.Errorf("%s gives %d, %v; want %d", c.body, days, err, c.days)
		case c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)):
			t.Errorf("%s gives %d, %v; want an error with %q", c.body, days, err, c.words)
		}
	}
}

// readFields reads a body as create does.
func readFields(body []byte) (days int, err error) {
	o, err := parseObject(body, fields)
	if err != nil {
		return 0, err
	}
	b := bodyFields{object: o}
	b.text("key_name")
	days = b.wholeNumber("expires_days", 0, 1, maxExpiresDays)
	return days, b.err
}

// FuzzParseObject: for any body the decoder returns either the object that
// encoding/json reads, or an error for an invalid request.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{"key_name":"my-cursor-key","expires_days":90}`, `{"key_name":"a","key_name":"b"}`, `{"expires_days":1e400}`,
		`{"key_name":"\ud800"}`, `[]`, `{}x`, "\xef\xbb\xbf{}", `{"key_name":{"a":[1,{"b":null}]}}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseObject(body, fields)
		if err != nil {
			if p, ok := errors.AsType[*problem](err); !ok || p.status != 400 || len(p.message) > 300 {
				t.Fatalf("%q gives %v", body, err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is accepted, but %v", body, err)
		}
		if diff := cmp.Diff(want, map[string]json.RawMessage(o)); diff != "" {
			t.Fatalf("%q is read differently:\n%s", body, diff)
		}
		if days, err := readFields(body); err == nil && (days < 0 || days > maxExpiresDays) {
			t.Fatalf("%q gives %d days", body, days)
		}
	})
}

// TestObjectsOfAnyOrder: fields may be in any order, with any whitespace.
func TestObjectsOfAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := rapid.StringMatching(`[ \t\r\n]{0,3}`)
		days := rapid.IntRange(1, maxExpiresDays).Draw(t, "days")
		name := rapid.String().Filter(func(s string) bool { return s != "" }).Draw(t, "name")
		encoded, err := json.Marshal(map[string]any{"key_name": name, "expires_days": days})
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "other order") {
			if encoded, err = json.Marshal(struct {
				Name string `json:"key_name"`
				Days int    `json:"expires_days"`
			}{name, days}); err != nil {
				t.Fatal(err)
			}
		}
		body := space.Draw(t, "before") + string(encoded) + space.Draw(t, "after")
		o, err := parseObject([]byte(body), fields)
		if err != nil {
			t.Fatal(err)
		}
		b := bodyFields{object: o}
		if got := b.text("key_name"); b.err != nil || got != strings.ToValidUTF8(name, "\ufffd") {
			t.Fatalf("key_name %q, %v; want %q", got, b.err, name)
		}
		if got := b.wholeNumber("expires_days", 0, 1, maxExpiresDays); b.err != nil || got != days {
			t.Fatalf("expires_days %d, %v; want %d", got, b.err, days)
		}
	})
}

func TestReadQuery(t *testing.T) {
	names := []string{"page", "tool", "from"}
	for _, c := range []struct{ raw, words string }{
		{"color=1", `unknown query parameter "color": there are page, tool and from`},
		{"Page=1", `unknown query parameter "Page"`},
		{"page=1&page=1", "page is given 2 times"},
		{"tool=", "tool is empty"},
		{"tool", "tool is empty"},
		{"tool=%ff", "tool is not valid UTF-8"},
		{"tool=%zz", "malformed"},
		{"tool=a;page=1", "malformed"},
	} {
		if q, err := readQuery(c.raw, names); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%q gives %v, %v; want an error with %q", c.raw, q, err, c.words)
		}
	}
	if _, err := readQuery("page=1", nil); err == nil || !strings.Contains(err.Error(), "there are none here") {
		t.Errorf("a parameter where there are none gives %v", err)
	}
	got, err := readQuery("page=1&tool=a%20b&from=", names[:2])
	if err == nil {
		t.Errorf("an empty unknown parameter gives %v", got)
	}
	got, err = readQuery("page=1&tool=a%20b", names)
	if diff := cmp.Diff(params{"page": "1", "tool": "a b"}, got); err != nil || diff != "" {
		t.Errorf("error %v, query differs:\n%s", err, diff)
	}
}

func TestQueryNumbersAndMoments(t *testing.T) {
	for _, v := range []string{"0", "-1", "201", "1.0", "1e1", "+5", " 5", "five", "0x10", "99999999999999999999", "1_0", "٣"} {
		q := queryParams{params: params{"page_size": v}}
		if n := q.wholeNumber("page_size", 20, 200); q.err == nil {
			t.Errorf("page_size=%s gives %d", v, n)
		}
	}
	q := queryParams{params: params{"page_size": "200"}}
	if n := q.wholeNumber("page_size", 20, 200); n != 200 || q.err != nil {
		t.Errorf("page_size=200 gives %d, %v", n, q.err)
	}
	for _, v := range []string{"2026-11-31", "2026-1-2", "yesterday", "1790000000", "2026-13-01T00:00:00Z", "2026-11-23T18:00:00", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00+01:00", "2200-01-01T00:00:00Z", "2026-11-23T18:00:00 01:00"} {
		q := queryParams{params: params{"from": v}}
		if m := q.moment("from", usage.Start); q.err == nil {
			t.Errorf("from=%s gives %v", v, m)
		}
	}
	q = queryParams{params: params{"from": "2026-11-23T19:30:00.25+01:30"}}
	m := q.moment("from", usage.Start)
	if q.err != nil || m.Format("2006-01-02T15:04:05.999Z07:00") != "2026-11-23T18:00:00.25Z" {
		t.Errorf("from gives %v, %v", m, q.err)
	}
	for day, want := range map[usage.Bound]string{usage.Start: "2026-12-31T00:00:00Z", usage.End: "2027-01-01T00:00:00Z"} {
		q := queryParams{params: params{"at": "2026-12-31"}}
		if m := q.moment("at", day); q.err != nil || m.Format(time.RFC3339Nano) != want {
			t.Errorf("a day gives %v, %v, want %s", m, q.err, want)
		}
	}
}
