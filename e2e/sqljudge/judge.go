package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// answer is what the reader says of a query.
type answer struct {
	known      bool // the tables are known, perhaps to be none
	tables     []string
	kind       string // as in query
	statements int
	reason     string // why the tables are not known
}

// verdict is an answer beside the oracle's.
type verdict struct {
	query
	mode   int
	answer answer
	what   string // wrong, unknown, kind; empty where reader and oracle agree
}

// counts are of one corpus, read in one mode.
type counts struct {
	queries, withTables, unknown, answers, wrong, kinds, kindsWrong int
}

func (c *counts) add(d counts) {
	c.queries += d.queries
	c.withTables += d.withTables
	c.unknown += d.unknown
	c.answers += d.answers
	c.wrong += d.wrong
	c.kinds += d.kinds
	c.kindsWrong += d.kindsWrong
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// results are the verdicts on all queries.
type results struct {
	sources  []string
	counts   map[string]*[2]counts
	skipped  map[string]int
	verdicts []verdict // those with something to show
}

// judge reads every query in both modes. A dialect that the reader does not
// know is read without its name alone.
func judge(queries []query) *results {
	r := &results{counts: map[string]*[2]counts{}, skipped: map[string]int{}}
	for _, q := range queries {
		if r.counts[q.Source] == nil {
			r.counts[q.Source] = &[2]counts{}
			r.sources = append(r.sources, q.Source)
		}
		if q.Skip != "" {
			r.skipped[q.Source]++
			continue
		}
		for mode := range modes {
			dialect, ok := readerDialect(q.Dialect)
			if mode == named && !ok {
				continue
			}
			if mode == unnamed {
				dialect = ""
			}
			v := verdict{query: q, mode: mode, answer: read(dialect, q.SQL)}
			r.counts[q.Source][mode].add(v.count())
			if v.what != "" {
				r.verdicts = append(r.verdicts, v)
			}
		}
	}
	return r
}

// count settles what a verdict says.
func (v *verdict) count() counts {
	c := counts{queries: 1}
	if len(v.Tables) > 0 {
		c.withTables = 1
	}
	if !v.answer.known {
		c.unknown = c.withTables
		if c.unknown > 0 {
			v.what = "unknown"
		}
		return c
	}
	c.answers = 1
	tables := slices.Clone(v.answer.tables)
	slices.Sort(tables)
	if !slices.Equal(slices.Compact(tables), v.Tables) {
		c.wrong = 1
		v.what = "wrong"
	}
	if v.Kind != "" {
		c.kinds = 1
		if v.answer.kind != v.Kind {
			c.kindsWrong = 1
			v.what = cmp.Or(v.what, "kind")
		}
	}
	return c
}

// table prints the figures and reports whether they reach the targets.
func (r *results) table() bool {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "corpus\tqueries\tskipped\twith tables\t")
	for _, m := range modes {
		fmt.Fprintf(w, "unknown %s\twrong\tkind wrong\t", m)
	}
	fmt.Fprintln(w)
	var all [2]counts
	skipped := 0
	row := func(name string, skipped int, c [2]counts) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t", name, c[unnamed].queries+skipped, skipped, c[unnamed].withTables)
		for _, d := range c {
			fmt.Fprintf(w, "%d (%.2f %%)\t%d of %d (%.2f %%)\t%d\t", d.unknown, percent(d.unknown, d.withTables),
				d.wrong, d.answers, percent(d.wrong, d.answers), d.kindsWrong)
		}
		fmt.Fprintln(w)
	}
	for _, s := range r.sources {
		row(s, r.skipped[s], *r.counts[s])
		skipped += r.skipped[s]
		for mode := range modes {
			all[mode].add(r.counts[s][mode])
		}
	}
	row("all", skipped, all)
	w.Flush()
	reached := reaches("all", all)
	if c := r.counts["sqlglot"]; c != nil {
		reached = reaches("sqlglot", *c) && reached
	}
	return reached
}

// reaches prints how figures compare with the targets, and reports whether
// they reach them.
func reaches(name string, figures [2]counts) bool {
	reached := true
	for mode, t := range targets {
		c := figures[mode]
		unknown, wrong := percent(c.unknown, c.withTables), percent(c.wrong, c.answers)
		word := "reached"
		if unknown > t.unknown || wrong > t.wrong || c.withTables == 0 {
			word, reached = "MISSED", false
		}
		fmt.Printf("%s, %s: unknown %.2f %% (at most %g), wrong %.3f %% (at most %g): %s\n",
			name, modes[mode], unknown, t.unknown, wrong, t.wrong, word)
	}
	return reached
}

// print prints the first n verdicts of a sort, in one mode or in both (-1).
func (r *results) print(what string, n, mode int) {
	for _, v := range r.verdicts {
		if v.what != what || mode >= 0 && v.mode != mode {
			continue
		}
		if n--; n < 0 {
			return
		}
		fmt.Printf("%s %s/%s, %s: oracle %s %s, reader ", v.id(), v.Source, cmp.Or(v.Dialect, "sqlglot"),
			modes[v.mode], cmp.Or(v.Kind, "-"), list(v.Tables))
		if v.answer.known {
			fmt.Printf("%s %s\n", cmp.Or(v.answer.kind, "-"), list(v.answer.tables))
		} else {
			fmt.Printf("unknown (%s)\n", v.answer.reason)
		}
		text := v.SQL
		if len(text) > 1500 {
			text = strings.ToValidUTF8(text[:1500], "") + "…"
		}
		fmt.Println("    " + strings.ReplaceAll(text, "\n", "\n    "))
	}
}

func list(tables []string) string { return "[" + strings.Join(tables, ", ") + "]" }
