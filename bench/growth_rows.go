package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// growRows runs the ledgers' own benchmarks of reading, with more and more
// rows.
func growRows(e *environment, quick bool) ([]curve, error) {
	const million = 1_000_000
	clickHouse, sqlite := []int{1 * million, 10 * million, 100 * million}, []int{1 * million, 10 * million}
	if quick {
		clickHouse, sqlite = []int{million / 10, million}, []int{million / 100, million / 10}
	}
	var all []curve
	for _, ledger := range []struct {
		name, pkg string
		rows      []int
	}{
		{"ClickHouse", "github.com/tallygate/tallygate/usage/clickhouse", clickHouse},
		{"SQLite", "github.com/tallygate/tallygate/usage/sqlite", sqlite},
	} {
		var curves []curve
		for _, of := range readings {
			curves = append(curves, curve{
				Group: "rows", Figure: ledger.name + ", " + of.figure, Series: of.series, X: "rows in the ledger", Unit: "ms",
			})
		}
		for _, n := range ledger.rows {
			found, err := e.readLedger(ledger.pkg, n)
			if err != nil {
				return nil, fmt.Errorf("%s with %d rows: %w", ledger.name, n, err)
			}
			for i, of := range readings {
				f, ok := found[of.benchmark]
				if !ok {
					return nil, fmt.Errorf("%s with %d rows: no benchmark says how long %s takes", ledger.name, n, of.benchmark)
				}
				curves[i].Points = append(curves[i].Points, f.at(n))
			}
		}
		all = append(all, curves...)
	}
	return all, nil
}

// readings are what the ledgers' benchmarks have measured: of each the name.
var readings = func() (all []reading) {
	for _, who := range []string{"everyone", "user"} {
		for _, page := range []string{"page 1", "page 10,000", "cursor"} {
			all = append(all, reading{"history, " + page, who, "Read/History/" + who + "/" + strings.ReplaceAll(page, " ", "_")})
		}
		for _, days := range []string{"30", "365"} {
			all = append(all, reading{"stats, " + days + " days", who, "Read/Stats/" + who + "/days=" + days})
		}
	}
	return all
}()

type reading struct{ figure, series, benchmark string }

// readLedger runs the benchmarks of one ledger, and returns by their names how
// long they took in ms: the median, and as the interval's upper end the most.
func (e *environment) readLedger(pkg string, rows int) (map[string]estimate, error) {
	e.runs++
	dir := filepath.Join(e.dir, fmt.Sprint(e.runs, "-rows"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	// A ledger has the machine for itself.
	s, err := startOn(allCores, dir, []string{"CGO_ENABLED=0", fmt.Sprint("TALLYGATE_BENCH_ROWS=", rows)}, "go", "-C", root,
		"test", "-run", "^$", "-timeout", "6h", "-bench", "^BenchmarkRead$/^(History|Stats)$/^(everyone|user)$/^(page_1|page_10,000|cursor|days=30|days=365)$", pkg)
	if err != nil {
		return nil, err
	}
	<-s.exited
	text, err := os.ReadFile(s.log)
	if err != nil {
		return nil, err
	}
	if !s.cmd.ProcessState.Success() {
		return nil, fmt.Errorf("go test of %s: %v\n%s", pkg, s.cmd.ProcessState, s.tail())
	}
	return readTimes(text)
}

// readTimes reads what go test printed.
func readTimes(text []byte) (map[string]estimate, error) {
	found := map[string]estimate{}
	r := benchfmt.NewReader(bytes.NewReader(text), "go test")
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		median, ok := result.Value("median-ms")
		most, okMost := result.Value("max-ms")
		if ok && okMost {
			name, _, _ := strings.Cut(string(result.Name.Full()), "-")
			found[name] = estimate{median, median, most}
		}
	}
	if len(found) == 0 {
		return nil, errors.Join(r.Err(), fmt.Errorf("no benchmark printed median-ms and max-ms:\n%s", text))
	}
	return found, r.Err()
}
