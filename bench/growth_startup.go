package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/internal/freeport"
	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
)

// growStartup starts gates with fuller stores and longer journals, and measures
// from the start of the process until a call with a key has been answered.
func growStartup(e *environment, quick bool) ([]curve, error) {
	keys, events, times := []int{10, 1_000_000}, []int{0, 1_000_000}, 7
	if quick {
		keys, events, times = []int{10, 10_000}, []int{0, 100_000}, 3
	}
	upstream, address, err := e.startUpstream("fixed")
	if err != nil {
		return nil, err
	}
	defer upstream.end()
	var stores []*filledStore
	for _, n := range keys {
		s, err := e.fillStore(n)
		if err != nil {
			return nil, err
		}
		defer s.remove()
		stores = append(stores, s)
	}
	var journals []string
	for _, n := range events {
		e.runs++
		dir := filepath.Join(e.dir, fmt.Sprint(e.runs, "-journal"))
		defer os.RemoveAll(dir)
		if err := fillJournal(dir, n); err != nil {
			return nil, fmt.Errorf("filling a journal with %d events: %w", n, err)
		}
		journals = append(journals, dir)
	}
	byKeys := curve{Series: "an empty journal", X: "keys"}
	byEvents := curve{Series: "a ledger that is away", X: "events in the journal"}
	byShipped := curve{Series: "SQLite as the ledger, which takes them meanwhile", X: "events in the journal"}
	for _, row := range []struct {
		curve   *curve
		xs      []int
		store   func(i int) *filledStore
		journal func(i int) string
		ledger  string
	}{
		{&byKeys, keys, func(i int) *filledStore { return stores[i] }, func(int) string { return journals[0] }, sqliteLedger},
		{&byEvents, events, func(int) *filledStore { return stores[0] }, func(i int) string { return journals[i] }, awayLedger},
		{&byShipped, events, func(int) *filledStore { return stores[0] }, func(i int) string { return journals[i] }, sqliteLedger},
	} {
		row.curve.Group, row.curve.Figure, row.curve.Unit = "startup", "from the start to the first answer", "ms"
		took := make([][]float64, len(row.xs))
		for range times {
			for i, x := range row.xs {
				t, err := e.startUp(address, row.store(i), row.journal(i), row.ledger)
				if err != nil {
					return nil, fmt.Errorf("%s, %d %s: %w", row.curve.Series, x, row.curve.X, err)
				}
				took[i] = append(took[i], ms(t))
			}
		}
		for i, x := range row.xs {
			row.curve.Points = append(row.curve.Points, estimateOf(took[i]).at(x))
		}
	}
	return []curve{byKeys, byEvents, byShipped}, nil
}

// startUp starts a gate on copies of a store and a journal, and returns how
// long it took until a call was answered.
func (e *environment) startUp(upstream string, store *filledStore, journal, ledger string) (time.Duration, error) {
	port, err := freeport.Next()
	if err != nil {
		return 0, err
	}
	e.runs++
	d := deployment{dir: filepath.Join(e.dir, fmt.Sprint(e.runs, "-gate")), port: port, upstream: upstream, cache: e.cache}
	defer os.RemoveAll(d.dir)
	data := filepath.Join(d.dir, "data")
	if err := errors.Join(store.copyTo(data), os.CopyFS(filepath.Join(data, "journal"), os.DirFS(journal))); err != nil {
		return 0, err
	}
	begun := time.Now()
	s, err := startCaddy(d, "tallygate", gateConfig(d, ledger, ""))
	if err != nil {
		return 0, err
	}
	defer s.end()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	for ; ; time.Sleep(time.Millisecond) {
		err := callOnce(client, fmt.Sprint("http://127.0.0.1:", port, "/mcp"), string(store.bearer(0)))
		took := time.Since(begun)
		switch {
		case err == nil:
			return took, nil
		case took > 5*time.Minute:
			return 0, fmt.Errorf("it does not answer, but %w; its log says:\n%s", err, s.tail())
		}
		select {
		case <-s.exited:
			return 0, fmt.Errorf("it ended, its log says:\n%s", s.tail())
		default:
		}
	}
}

// callOnce calls the tool of small results.
func callOnce(client *http.Client, url, bearer string) error {
	r := small()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+r.tool+`","arguments":{}}}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", bearer)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %s: %.300s", res.Status, answer)
	}
	return r.check(answer, "fixed")
}

// keysInJournal is how many keys the events of a journal are of.
const keysInJournal = 10_000

// fillJournal makes a journal of events that no ledger has had.
func fillJournal(dir string, events int) (err error) {
	j, err := journal.Open(dir, journal.Options{Sync: journal.SyncNone, MaxBytes: 8 << 30})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	for i := range events {
		key := i * 7919 % keysInJournal
		if err := j.Append(&usage.Event{
			ID: uuid.Must(uuid.NewV7()), Time: time.Now().UTC().Truncate(time.Microsecond),
			UserID: fmt.Sprint("user-", key/keysOfUser), UserEmail: fmt.Sprintf("user-%d@example.com", key/keysOfUser),
			KeyID: fmt.Sprint("key-", key), KeyName: "laptop", Tool: small().tool, Tables: []string{"stock_daily"},
			RecordCount: usage.Int64(8), Outcome: usage.OK, HTTPStatus: usage.Int64(http.StatusOK),
			DurationUS: 1000 + int64(i%1000), RequestBytes: 300, ResponseBytes: 2048, RequestID: fmt.Sprint(i),
			ProtocolVersion: "2025-06-18", ClientName: "bench", ClientVersion: "1", RemoteIP: "127.0.0.1",
		}); err != nil {
			return err
		}
	}
	return nil
}
