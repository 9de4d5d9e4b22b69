package gate

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

func newTestRegistry(t *testing.T, j Journal) *CallRegistry {
	t.Helper()
	r, err := NewCallRegistry(j, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func noMore(*usage.Event) {}

// TestExpiry: a pending call is recorded as aborted when its time is over, and not
// before; one whose stream can be resumed, not while its session has a stream
// open.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(gatetest.Journal)
		r := newTestRegistry(t, j)
		task, resumable := &call{arrived: time.Now()}, &call{arrived: time.Now()}
		session := sessionKey("default", "s")
		r.suspend(task, noMore, taskKey("s", "user", "t"), time.Hour, callKey{})
		r.streamOpened(session)
		r.suspend(resumable, noMore, requestKey("user", session, []byte("1")), resumeWait, session)

		after := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := j.Len(); n != want {
				t.Errorf("%d calls are recorded, want %d", n, want)
			}
		}
		after(59*time.Minute+59*time.Second, 0)
		after(2*time.Second, 1)
		if _, ok := r.lookup(taskKey("s", "user", "t")); ok {
			t.Error("the call that expired is still registered")
		}
		after(10*time.Hour, 1)
		r.streamClosed(session)
		after(resumeWait, 2)
		for _, row := range j.Await(t, 2) {
			if row["outcome"] != "aborted" {
				t.Errorf("the row is %v", row)
			}
		}
	})
}

// TestRestoredCallExpires: a call that was suspended by an earlier process expires
// at its deadline, at once when that has passed.
func TestRestoredCallExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(gatetest.Journal)
		before := newTestRegistry(t, j)
		for task, wait := range map[string]time.Duration{"short": time.Minute, "long": 3 * time.Hour} {
			before.suspend(&call{arrived: time.Now()}, noMore, taskKey("s", "user", task), wait, callKey{})
		}
		before.Close()
		time.Sleep(time.Hour)
		after := newTestRegistry(t, j)
		synctest.Wait()
		if n := j.Len(); n != 1 {
			t.Errorf("%d calls are recorded, want the one whose deadline has passed", n)
		}
		if _, ok := after.lookup(taskKey("s", "user", "long")); !ok {
			t.Error("the pending call is not registered")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := j.Len(); n != 2 {
			t.Errorf("%d calls are recorded, want 2", n)
		}
	})
}

// TestEndedTasks: whose a task is that has ended is known to the next process until
// its result can no longer be asked for, and is kept for so many tasks only.
func TestEndedTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(gatetest.Journal)
		r := newTestRegistry(t, j)
		run := func(task string, wait time.Duration) {
			c := &call{arrived: time.Now(), event: usage.Event{UserID: "ann", Tool: "query"}}
			r.ownTask(c, taskOwnerKey("s", task))
			r.suspend(c, noMore, taskKey("s", "ann", task), wait, callKey{})
			r.finish(c, func(e *usage.Event) { e.Outcome = usage.OK })
		}
		kept := func(want int) {
			t.Helper()
			if calls, _ := j.PendingCalls(); len(calls) != want || j.Pending() != 0 {
				t.Errorf("the journal keeps %d tasks and %d pending calls, want %d and none", len(calls), j.Pending(), want)
			}
		}
		run("short", time.Minute)
		run("long", time.Hour)
		kept(2)
		time.Sleep(2 * time.Minute)
		r = newTestRegistry(t, j)
		kept(1)
		for task, want := range map[string]string{"short": "", "long": "ann"} {
			if v, owner, _ := r.owners.get(taskOwnerKey("s", task)); owner != want || owner != "" && v.tool != "query" {
				t.Errorf("%s is %q's and runs %q", task, owner, v.tool)
			}
		}
		time.Sleep(time.Hour)
		r.maxEnded = 20
		for i := range 30 {
			run(strconv.Itoa(i), time.Minute)
		}
		kept(20)
		time.Sleep(time.Hour)
		run("last", time.Minute)
		kept(1)
		if n := j.Len(); n != 33 {
			t.Errorf("%d calls are recorded", n)
		}
	})
}

// TestClaim: a claimed call is found by nobody else and does not expire until it
// is pending again.
func TestClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(gatetest.Journal)
		r := newTestRegistry(t, j)
		key := retryKey("s", "user", argumentsKey{1}, [32]byte{1})
		c := &call{arrived: time.Now()}
		r.suspend(c, noMore, key, inputWait, callKey{})
		if r.claim(key) != c || r.claim(key) != nil {
			t.Error("the call is claimed twice, or never")
		}
		time.Sleep(2 * inputWait)
		synctest.Wait()
		r.resume(c)
		if _, ok := r.lookup(key); !ok || j.Len() != 0 {
			t.Errorf("registered again: %t; %d calls are recorded", ok, j.Len())
		}
		time.Sleep(inputWait)
		synctest.Wait()
		if j.Len() != 1 || r.claim(key) != nil {
			t.Errorf("%d calls are recorded when it has expired", j.Len())
		}
	})
}

// TestRequestFactsAreLazy: what the arguments tell is not read before the request
// has gone upstream, and only once.
func TestRequestFactsAreLazy(t *testing.T) {
	j := new(gatetest.Journal)
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for what, respond := range map[string]func(http.ResponseWriter) error{
		"a header comes": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusOK)
			return nil
		},
		"no header comes": func(http.ResponseWriter) error { return nil },
	} {
		x := &exchange{gate: g, endpoint: g.endpoints[0], method: http.MethodPost, principal: &authn.Principal{UserID: "u"}, arrived: time.Now()}
		x.backend = &Backend{Calls: newTestRegistry(t, j)}
		x.response = meteringWriter{ResponseWriter: httptest.NewRecorder(), x: x}
		if err := x.body.Read([]byte(gatetest.CallBody("rows")), false); err != nil {
			t.Fatal(err)
		}
		read := func() bool { return x.pending[0].call.request == nil }
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(""))
		err := x.forward(r, func(w http.ResponseWriter, _ *http.Request) error {
			if read() {
				t.Errorf("%s: the arguments are read before the request has gone upstream", what)
			}
			err := respond(w)
			if headerCame := x.response.status != 0; read() != headerCame {
				t.Errorf("%s: read: %t", what, read())
			}
			if c := x.pending[0].call; read() {
				c.facts = scan.Facts{} // reading again would find the table again
				c.readRequestFacts()
				if c.facts.Tables != nil {
					t.Errorf("%s: the arguments are read twice", what)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !read() || x.pending[0].call.event.TableName() != "t" {
			t.Errorf("%s: the table is %q", what, x.pending[0].call.event.TableName())
		}
	}
}

// TestFlushes: a flush is passed on where the client can use what has been sent,
// and nowhere else.
func TestFlushes(t *testing.T) {
	type chunk struct {
		text    string
		flushed bool
	}
	long := strings.Repeat("a", 20<<10)
	const begin, end = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	event := "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n"
	for media, chunks := range map[string][]chunk{
		"text/event-stream": {
			{": hello\n", true}, {"\n", true}, {"data: " + begin, false}, {"short", false}, {long, false},
			{end + "\n\n" + long + "\n", true}, {"\n", true}, {event, true},
		},
		"text/event-stream; charset=utf-8": {
			{event + "data: " + begin + long, true}, {long, false}, {"\r" + "data: " + long, false}, {long, false},
			{long + end, false}, // the answer, but for the end of its event
			{"\n\n" + long, true}, {long, true},
		},
		"application/json": {{begin, false}, {long, false}, {"\n" + long + "\n", false}, {end, true}, {"\n", true}},
		"text/plain":       {{begin, true}, {end, true}},
	} {
		g, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{gate: g, endpoint: g.endpoints[0], method: http.MethodPost, principal: &authn.Principal{UserID: "u"}, arrived: time.Now()}
		x.backend = &Backend{Authenticator: unwatched{}, Calls: newTestRegistry(t, new(gatetest.Journal))}
		client := &flushCounter{ResponseWriter: httptest.NewRecorder()}
		x.response = meteringWriter{ResponseWriter: client, x: x}
		if err := x.body.Read([]byte(gatetest.CallBody("rows")), false); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(""))
		err = x.forward(r, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", media)
			for i, c := range chunks {
				if _, err := w.Write([]byte(c.text)); err != nil {
					return err
				}
				client.flushes = 0
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
				if flushed := client.flushes > 0; flushed != c.flushed {
					t.Errorf("%s: chunk %d is flushed: %t", media, i, flushed)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// unwatched watches nothing.
type unwatched struct{ Authenticator }

func (unwatched) Watch(*authn.Watch, *authn.Principal, func()) {}
func (unwatched) Unwatch(*authn.Watch)                         {}

// flushCounter counts flushes.
type flushCounter struct {
	http.ResponseWriter
	flushes int
}

func (f *flushCounter) FlushError() error {
	f.flushes++
	return nil
}

// TestClip: a text is cut between characters.
func TestClip(t *testing.T) {
	long := strings.Repeat("a", maxText-1)
	for text, want := range map[string]string{
		"short": "short", long + "b": long + "b", long + "bc": long + "b", long + "é": long, long + "\xe2\x82": long,
	} {
		if got := clip(text); got != want {
			t.Errorf("%d bytes are clipped to %d, want %d", len(text), len(got), len(want))
		}
	}
}
