package toolfilter

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// mine are the tasks that the tests allow.
func mine(task string) bool { return strings.HasPrefix(task, "mine") }

var tasks = List{Name: "tasks", ID: "taskId", Allowed: mine}

// TestTasks: of lists of tasks and of notifications about tasks in event streams,
// the client's pass, and everything else passes as it came.
func TestTasks(t *testing.T) {
	const id = `"taskId":"mine 1"`
	big := `"x":"` + strings.Repeat("x", maxElement) + `"`
	event := func(message string) string { return "event: message\nid: 7\ndata: " + message + "\n\n" }
	passes := func(name, body string) [4]string { return [4]string{name, "sse", body, body} }
	dropped := func(name, message string) [4]string {
		return [4]string{name, "sse", event(message) + event(`{"id":1}`), event("") + event(`{"id":1}`)}
	}
	for _, c := range [][4]string{
		{"a list", "json", `{"id":1,"result":{"tasks":[{"taskId":"x","status":"working"},{"status":"working","taskId":"mine"},{"taskId":"y"}],"nextCursor":"c"}}`, `{"id":1,"result":{"tasks":[{"status":"working","taskId":"mine"}],"nextCursor":"c"}}`},
		{"a list on a stream", "sse", event(`{"result":{"tasks":[{"taskId":"x"},{"TASKID":"mine"},{"taskId":"mine","taskid":"x"}]}}`), event(`{"result":{"tasks":[]}}`)},
		{"tools and tasks", "json", `{"result":{"tools":[{"name":"x"}],"tasks":[{"name":"mine"}]}}`, `{"result":{"tools":[{"name":"x"}],"tasks":[]}}`},
		{"a list that is no JSON", "json", `{"result":{"tasks":[{"taskId":"x"} {"taskId":"x"}]}}`, `{"result":{"tasks":[ {"taskId":"x"}]}}`},
		{"invalid text", "json", `{"result":{"a"; "tasks":[{"taskId":"x"}]}}`, `{"result":{"a"; "tasks":[{"taskId":"x"}]}}`},
		{"UTF-16", "json", "\xff\xfe{\x00", "\xff\xfe{\x00"},
		{"a wrong escape", "json", `{"\xesult":{"tasks":[]}}`, `{"\xesult":{"tasks":[]}}`},

		dropped("another's", `{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"x","status":"working"}}`),
		dropped("another's, in the extension", `{"jsonrpc":"2.0","method":"notifications/tasks","params":{"status":"completed","result":{"content":[{}]},"taskId":"x"}}`),
		dropped("another's, params first", `{"params":{"_meta":{"taskId":"mine"},"taskId":"x","n":[1,{}]},"method":"notifications/tasks/status"}`),
		dropped("another's, escaped", `{"meth\u006fd":"notifications\/tasks","params":{"t\u0061skId":"\u0078"}}`),
		dropped("another's, too long to hold", `{"method":"notifications/tasks","params":{`+big+`,"taskId":"x"}}`),
		dropped("several lines", "{\"method\":\"notifications/tasks\",\ndata: \"params\":\n: comment\ndata:{\"taskId\":\ndata: \"x\"}}"),
		passes("mine", event(`{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{`+id+`,"status":"working"}}`)),
		passes("mine, params first", event(`{"params":{`+id+`},"method":"notifications/tasks"}`)),
		passes("no task", event(`{"method":"notifications/tasks","params":{"taskId":7}}`)+event(`{"method":"notifications/tasks"}`)),
		passes("others", event(`{"method":"notifications/progress","params":{"taskId":"x"}}`)+event(`{"params":{"taskId":"x"},"method":"notifications/message"}`)),
		passes("a reply", event(`{"id":1,"result":{"taskId":"x","method":"notifications/tasks","params":{"taskId":"x"}}}`)+event(`{"error":{"code":1},"method":7}`)),
		passes("a batch", event(`[{"method":"notifications/tasks","params":{"taskId":"x"}}]`)),
		passes("no method", event(`{"params":{"taskId":"x"}}`)+event(`{}`)+event("7")+"data\n\n"),
		passes("too long to hold", event(`{`+big+`,"method":"notifications/message","params":{}}`)),
		passes("broken", "data: {\"method\":\n\n"+event(`{"method":"notifications/tasks";`)+event(`{"id":1}`)),
		{"broken, another's", "sse", "data: {\"method\":\"notifications/tasks\",\"params\":{\"taskId\":\"x\",\n\n" + event("{}"), "data: \n\n" + event("{}")},
	} {
		t.Run(c[0], func(t *testing.T) {
			var f Filter
			body, want := c[2], c[3]
			check := func(chunk int, lists ...List) {
				t.Helper()
				f.Reset(c[1] == "sse", lists...)
				f.OnlyTasks(mine)
				f.PassUnreadable()
				var got []byte
				for p := body; len(p) > 0; p = p[min(chunk, len(p)):] {
					var err error
					if got, err = f.Append(got, []byte(p[:min(chunk, len(p))])); err != nil {
						t.Fatal(err)
					}
				}
				if got = f.Rest(got); string(got) != want {
					t.Errorf("in chunks of %d, with %d lists:\n%.500q\nwant\n%.500q", chunk, len(lists), got, want)
				}
			}
			for _, chunk := range []int{len(body), 1, 7} {
				if len(body) > maxElement && chunk < len(body) {
					chunk = 100 << 10
				}
				check(chunk, tasks)
				if !strings.Contains(body, `"tasks":[`) {
					check(chunk)
				}
			}
		})
	}
}

// TestRest: a body that ends within a message that is held has a rest.
func TestRest(t *testing.T) {
	var f Filter
	f.Reset(true)
	f.OnlyTasks(mine)
	const body = `data: {"jsonrpc":"2.0","me`
	got, err := f.Append(nil, []byte(body))
	if string(got) != "data: " || err != nil {
		t.Errorf("at once passes %q, %v", got, err)
	}
	if got = f.Rest(got); string(got) != body {
		t.Errorf("in the end %q has passed", got)
	}
}

// TestLegacyTransport: the event that tells a client where to send its messages is
// an error, wherever it stands in a stream, and no part of its address passes.
func TestLegacyTransport(t *testing.T) {
	var f Filter
	for stream, want := range map[string]error{
		"event: endpoint\ndata: /message?sessionId=7\n\n":                                ErrLegacyTransport,
		": hello\n\ndata: {}\n\nid: 1\r\nevent:endpoint\r\n: x\r\ndata:/message\r\n\r\n": ErrLegacyTransport,
		"event: endpoints\ndata: /message\n\nevent: endpoint\n\ndata: /message\n\n":      nil,
	} {
		for _, chunk := range []int{len(stream), 1} {
			f.Reset(true)
			f.PassUnreadable()
			var got []byte
			var err error
			for p := stream; len(p) > 0 && err == nil; p = p[chunk:] {
				got, err = f.Append(got, []byte(p[:chunk]))
			}
			if !errors.Is(err, want) || want != nil && bytes.Contains(got, []byte("/message")) || want == nil && string(got) != stream {
				t.Errorf("%q passes as %q, %v", stream, got, err)
			}
		}
	}
}

// FuzzTasks: what passes does not depend on the chunks in which a body comes, and
// all of it passes where all tasks are the client's.
func FuzzTasks(f *testing.F) {
	for _, seed := range []string{
		`data: {"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"x"}}` + "\n\n" + `data: {"params":{"taskId":"mine"},"method":"notifications/tasks"}` + "\n\n",
		`data: {"result":{"tasks":[{"taskId":"x"},{"taskId":"mine"}]}}` + "\r\n\r\n", `{"result":{"tasks":[{"taskId":"x"} ,`, "data: [{\"method\":7}]\rdata\r\r",
	} {
		f.Add([]byte(seed), 3, strings.HasPrefix(seed, "data"))
	}
	f.Fuzz(func(t *testing.T, body []byte, chunk int, isStream bool) {
		run := func(chunk int, isMine func(string) bool) string {
			var f Filter
			f.Reset(isStream, List{Name: "tasks", ID: "taskId", Allowed: mine})
			if isMine == nil {
				f.Reset(isStream)
				isMine = func(string) bool { return true }
			}
			f.OnlyTasks(isMine)
			f.PassUnreadable()
			var out []byte
			for p := body; len(p) > 0; p = p[min(chunk, len(p)):] {
				var err error
				if out, err = f.Append(out, p[:min(chunk, len(p))]); errors.Is(err, ErrLegacyTransport) {
					t.Skip()
				} else if err != nil {
					t.Fatal(err)
				}
			}
			return string(f.Rest(out))
		}
		chunk = 1 + (chunk&0xff)%9
		if whole, got := run(len(body), mine), run(chunk, mine); got != whole {
			t.Errorf("%q becomes %q, and %q in chunks of %d", body, whole, got, chunk)
		}
		if got := run(chunk, nil); got != string(body) {
			t.Errorf("%q becomes %q", body, got)
		}
	})
}
