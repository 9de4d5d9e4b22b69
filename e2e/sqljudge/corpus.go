package main

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// query is a line of a corpus: a query and what the oracle says of it.
type query struct {
	Source     string   `json:"source"`
	Dialect    string   `json:"dialect"` // sqlglot's name, empty for its own
	SQL        string   `json:"sql"`
	Tables     []string `json:"tables"` // sorted, without repeats
	Kind       string   `json:"kind"`   // query, write, none, mixed; empty: not said
	Statements int      `json:"statements"`
	Skip       string   `json:"skip"` // why the oracle cannot say; empty: it can
}

// id names a query in the file of exceptions.
func (q query) id() string {
	sum := sha256.Sum256([]byte(q.Dialect + "\n" + q.SQL))
	return hex.EncodeToString(sum[:6])
}

func readCorpus(path string, exceptions map[string]exception) ([]query, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var queries []query
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var q query
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, len(queries)+1, err)
		}
		if e, ok := exceptions[q.id()]; ok {
			q.Tables, q.Skip, q.Kind = e.tables, e.skip, ""
		}
		queries = append(queries, q)
	}
	return queries, lines.Err()
}

// exception is what the oracle should have said of a query.
type exception struct {
	tables []string
	skip   string
}

//go:embed exceptions.txt
var exceptionsText string

// readExceptions reads lines with four fields between tabs: the
// query's id; its tables with commas between them, "-" for none, or "skip" to
// leave it out; why; and the query's start, for the person who reads it. Empty
// lines and those that start with # say nothing.
func readExceptions(text string) (map[string]exception, error) {
	exceptions := map[string]exception{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.SplitN(line, "\t", 4)
		if len(fields) < 3 || fields[2] == "" {
			return nil, fmt.Errorf("exceptions.txt, line %d: want ID, tables and the reason between tabs", i+1)
		}
		e := exception{tables: []string{}}
		switch fields[1] {
		case "-":
		case "skip":
			e.skip = fields[2]
		default:
			e.tables = strings.Split(fields[1], ",")
			slices.Sort(e.tables)
		}
		exceptions[fields[0]] = e
	}
	return exceptions, nil
}
