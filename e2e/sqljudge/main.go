// Command sqljudge compares the reader of SQL with an oracle, sqlglot's
// parser. It reads corpora that corpus.py made, one query a line, and prints
// for each of them how many queries the reader leaves unknown and in how many
// it names other tables than the oracle. It exits 1 when a target is missed.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The targets, in percent: without the dialect named and with it. They are for
// all corpora together and for the tests of sqlglot, the widest of them.
var targets = [2]struct{ unknown, wrong float64 }{{5, 0.2}, {3, 0.1}}

// The two ways in which every query is read.
const (
	unnamed = iota // the dialect is not said
	named          // the dialect is said
)

var modes = [2]string{"without dialect", "with dialect"}

func main() {
	show := flag.String("show", "", "print the queries that are `wrong`, unknown, or of another kind (kind)")
	n := flag.Int("n", 50, "how many queries to show")
	dialect := flag.String("dialect", "", "only the queries of this dialect, by sqlglot's name")
	source := flag.String("source", "", "only the queries of this corpus")
	mode := flag.Int("mode", -1, "show only what was read without (0) or with (1) the dialect")
	most := flag.Int("most", 10000, "how many queries of each corpus count, drawn by their hashes; 0: all")
	mutate := flag.Int("mutate", 0, "read this many mutated queries instead, each within -deadline")
	seed := flag.Uint64("seed", 1, "the seed of -mutate")
	deadline := flag.Duration("deadline", time.Second, "the longest that one read of -mutate may take")
	flag.Parse()

	queries, err := readCorpora(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "sqljudge:", err)
		os.Exit(2)
	}
	queries = slices.DeleteFunc(queries, func(q query) bool {
		return *dialect != "" && q.Dialect != *dialect || *source != "" && q.Source != *source
	})
	queries = sample(queries, *most)
	if *mutate > 0 {
		if !readMutated(queries, *mutate, *seed, *deadline) {
			os.Exit(1)
		}
		return
	}
	report := judge(queries)
	if *show != "" {
		report.print(*show, *n, *mode)
		return
	}
	if !report.table() {
		os.Exit(1)
	}
}

// sample returns at most so many queries of each corpus that the oracle can
// judge, always the same ones, so that no corpus outweighs the others.
func sample(queries []query, most int) []query {
	if most <= 0 {
		return queries
	}
	ids := map[string][]string{}
	for _, q := range queries {
		if q.Skip == "" {
			ids[q.Source] = append(ids[q.Source], q.id())
		}
	}
	last := map[string]string{}
	for source, all := range ids {
		if len(all) > most {
			slices.Sort(all)
			last[source] = all[most-1]
		}
	}
	return slices.DeleteFunc(queries, func(q query) bool {
		return q.Skip == "" && last[q.Source] != "" && q.id() > last[q.Source]
	})
}

// readCorpora reads files of corpora, or folders of them.
func readCorpora(paths []string) ([]query, error) {
	known, err := readExceptions(exceptionsText)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, p := range paths {
		if strings.HasSuffix(p, ".jsonl") {
			files = append(files, p)
			continue
		}
		inside, err := filepath.Glob(filepath.Join(p, "*.jsonl"))
		if err != nil {
			return nil, err
		}
		files = append(files, inside...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no corpus: name the folder that corpus.py wrote to")
	}
	var queries []query
	for _, f := range files {
		more, err := readCorpus(f, known)
		if err != nil {
			return nil, err
		}
		queries = append(queries, more...)
	}
	return queries, nil
}
