package scan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// told is what a message about a task says.
type told struct {
	ID           string
	Outcome      Outcome
	Notification bool
	ResultType   string
	TaskID       string
	Status       string
	TTL          int64
	HasTTL       bool
	Inner        Outcome
	HasInner     bool
	Records      int64 // of the own result; -1: unknown
	InnerRecords int64
}

// tellTasks scans a body for what carries a task's state.
func tellTasks(t testing.TB, body string) (all []told) {
	t.Helper()
	e := mustExtractor(t, Rule{Records: []string{"result.structuredContent.rows.#"}})
	number := func(f Facts) int64 {
		if f.RecordsKnown {
			return f.Records
		}
		return -1
	}
	var s Scanner
	s.Reset(JSON, Tasks, e)
	for i := range body {
		s.Scan([]byte(body[i:i+1]), func(r *Reply) {
			m := told{
				ID: string(r.ID), Outcome: r.Outcome, Notification: r.Notification, ResultType: r.ResultType, TaskID: string(r.TaskID), Status: r.TaskStatus,
				TTL: r.TaskTTL, HasTTL: r.HasTTL, Records: number(r.Facts(e)), InnerRecords: number(r.InnerFacts(e)),
			}
			m.Inner, m.HasInner = r.Inner()
			all = append(all, m)
		})
	}
	return all
}

func TestTasks(t *testing.T) {
	const result = `{"content":[],"structuredContent":{"rows":[1,2,3]}}`
	for name, c := range map[string]struct {
		body string
		want []told
	}{
		"a task is made, 2025-11-25": {
			`{"id":1,"result":{"task":{"taskId":"T","status":"working","createdAt":"x","ttl":60000}}}`,
			[]told{{ID: "1", TaskID: "T", Status: "working", TTL: 60000, HasTTL: true, Records: -1, InnerRecords: -1}},
		},
		"a task is made, extension": {
			`{"id":1,"result":{"resultType":"task","taskId":"T","status":"working","ttlMs":60000}}`,
			[]told{{ID: "1", ResultType: "task", TaskID: "T", Status: "working", TTL: 60000, HasTTL: true, Records: -1, InnerRecords: -1}},
		},
		"no end of its time": {
			`{"id":1,"result":{"taskId":"T","status":"failed","ttl":null}}`,
			[]told{{ID: "1", TaskID: "T", Status: "failed", Records: -1, InnerRecords: -1}},
		},
		"tasks/result": {
			`{"id":1,"result":` + result + `}`,
			[]told{{ID: "1", Records: 3, InnerRecords: -1}},
		},
		"tasks/get, completed": {
			`{"id":1,"result":{"resultType":"complete","taskId":"T","status":"completed","ttlMs":1,"result":` + result + `}}`,
			[]told{{ID: "1", ResultType: "complete", TaskID: "T", Status: "completed", TTL: 1, HasTTL: true, HasInner: true, Records: -1, InnerRecords: 3}},
		},
		"tasks/get, tool error": {
			`{"id":1,"result":{"result":{"isError":true,"content":[]},"taskId":"T","status":"completed"}}`,
			[]told{{ID: "1", TaskID: "T", Status: "completed", HasInner: true, Inner: Outcome{ToolError: true}, Records: -1, InnerRecords: -1}},
		},
		"tasks/get, failed": {
			`{"id":1,"result":{"taskId":"T","status":"failed","error":{"code":-32603,"message":"no"}}}`,
			[]told{{ID: "1", TaskID: "T", Status: "failed", HasInner: true, Inner: Outcome{RPCError: true, HasCode: true, RPCCode: -32603}, Records: -1, InnerRecords: -1}},
		},
		"tasks/get, nulls": {
			`{"id":1,"result":{"taskId":"T","status":"working","error":null,"result":null}}`,
			[]told{{ID: "1", TaskID: "T", Status: "working", Records: -1, InnerRecords: -1}},
		},
		"notification, extension": {
			`{"method":"notifications/tasks","params":{"taskId":"T","status":"completed","ttlMs":null,"result":` + result + `}}`,
			[]told{{Notification: true, TaskID: "T", Status: "completed", HasInner: true, Records: -1, InnerRecords: 3}},
		},
		"notification of a failure": {
			`{"params":{"error":{"code":7},"taskId":"T","status":"failed"},"method":"notifications/tasks"}`,
			[]told{{Notification: true, TaskID: "T", Status: "failed", HasInner: true, Inner: Outcome{RPCError: true, HasCode: true, RPCCode: 7}, Records: -1, InnerRecords: -1}},
		},
		"notification, 2025-11-25": {
			`{"method":"notifications/tasks/status","params":{"taskId":"T","status":"input_required","ttl":5}}`,
			[]told{{Notification: true, TaskID: "T", Status: "input_required", TTL: 5, HasTTL: true, Records: -1, InnerRecords: -1}},
		},
		"a notification does not take a reply's place": {
			`{"method":"notifications/tasks","result":{"taskId":"U","resultType":"task","result":{"isError":true}},"params":{"taskId":"T"}}`,
			[]told{{Notification: true, TaskID: "T", Records: -1, InnerRecords: -1}},
		},
		"a status that is none":            {`{"id":1,"result":{"taskId":"T","status":"` + strings.Repeat("x", 65) + `"}}`, []told{{ID: "1", TaskID: "T", Records: -1, InnerRecords: -1}}},
		"a request of the server's":        {`{"id":1,"method":"notifications/tasks","params":{"taskId":"T"}}`, nil},
		"a notification of something else": {`{"method":"notifications/progress","params":{"taskId":"T"}}`, nil},
	} {
		if diff := cmp.Diff(c.want, tellTasks(t, c.body)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestCallsScopeKnowsNoTasks(t *testing.T) {
	e := mustExtractor(t, Rule{Records: []string{"result.n"}})
	var s Scanner
	s.Reset(JSON, Calls, e)
	s.Scan([]byte(`[{"method":"notifications/tasks","params":{"taskId":"T"}},{"id":1,"result":{"result":{"n":1},"n":2}}]`), func(r *Reply) {
		if _, ok := r.Inner(); ok || r.InnerFacts(e).RecordsKnown || r.Notification || r.Facts(e).Records != 2 {
			t.Errorf("%+v", r)
		}
	})
}

func TestRequestState(t *testing.T) {
	states := rapid.Custom(func(t *rapid.T) string {
		return strings.Repeat(rapid.String().Draw(t, "part"), rapid.SampledFrom([]int{1, 1, 1, 300}).Draw(t, "times"))
	})
	rapid.Check(t, func(t *rapid.T) {
		state := states.Draw(t, "state")
		spelled, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"id":1,"result":{"resultType":"input_required","requestState":%s}}`, spelled)
		var s Scanner
		for _, scope := range []Scope{Calls, Tasks} {
			s.Reset(JSON, scope)
			found := 0
			for _, p := range genPieces(t, body) {
				s.Scan(p, func(r *Reply) {
					found++
					// Not every string is UTF-8; what JSON says of it is.
					if want := sha256.Sum256([]byte(strings.ToValidUTF8(state, "\ufffd"))); !r.HasState || r.State != want {
						t.Errorf("state %x, want %x", r.State, want)
					}
				})
			}
			if found != 1 {
				t.Fatalf("%d replies", found)
			}
		}
	})
	for _, body := range []string{`{"id":1,"result":{}}`, `{"id":1,"result":{"requestState":null}}`, `{"id":1,"result":{"requestState":{"a":1}}}`} {
		var s Scanner
		s.Reset(JSON, Calls)
		s.Scan([]byte(body), func(r *Reply) {
			if r.HasState {
				t.Errorf("%s has a state", body)
			}
		})
	}
}

func TestResumable(t *testing.T) {
	for body, want := range map[string]bool{
		"data: {}\n\n":                           false,
		"id: 1\ndata: {}\n":                      false, // the event has not ended
		"id: 1\ndata: {}\n\n":                    true,
		"data: {}\nid:0\n\n":                     true,
		"id: 1\r\r":                              true,
		"id\ndata: {}\n\n":                       false,
		"id:\ndata: {}\n\n":                      false,
		"id: \n\n":                               false,
		"id: a\x00b\ndata: {}\n\n":               false,
		"id: 1\nid: a\x00b\ndata: {}\n\n":        true,
		"id: 1\nid:\n\n":                         false,
		"event: ping\nid: 1\n\n":                 true,
		"id: 1\n\nid:\n\ndata: {}\n\n":           true,
		"ID: 1\n id: 1\nidx: 1\n:id: 1\n\ndata:": false,
	} {
		for _, n := range []int{1, 3, len(body)} {
			var s Scanner
			s.Reset(SSE, Calls)
			for p := body; len(p) > 0; p = p[min(n, len(p)):] {
				s.Scan([]byte(p[:min(n, len(p))]), func(*Reply) {})
			}
			if s.Resumable() != want {
				t.Errorf("%q in pieces of %d: %v", body, n, !want)
			}
		}
	}
}
