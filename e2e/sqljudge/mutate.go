package main

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// readMutated reads n mutated queries, in no dialect and in one drawn by
// chance, and reports whether each read ended within the deadline. A panic
// ends the program, with the query that caused it.
func readMutated(queries []query, n int, seed uint64, deadline time.Duration) bool {
	if len(queries) == 0 {
		fmt.Println("no queries to mutate")
		return false
	}
	random := rand.New(rand.NewPCG(seed, 0))
	var began atomic.Int64 // when the read under way began; 0: none
	var current atomic.Pointer[string]
	start := time.Now()
	stuck := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		names := dialects()
		for range n {
			q := queries[random.IntN(len(queries))].SQL
			for range 1 + random.IntN(4) {
				q = mutate(random, q, queries)
			}
			current.Store(&q)
			for _, dialect := range []string{"", names[random.IntN(len(names))]} {
				began.Store(int64(time.Since(start)))
				readOrExplain(dialect, q)
				began.Store(0)
			}
		}
	}()
	tick := time.NewTicker(deadline / 4)
	defer tick.Stop()
	go func() {
		for range tick.C {
			if b := began.Load(); b != 0 && time.Since(start)-time.Duration(b) > deadline {
				close(stuck)
				return
			}
		}
	}()
	select {
	case <-stuck:
		fmt.Printf("a read took longer than %v:\n%q\n", deadline, *current.Load())
		return false
	case <-done:
		fmt.Printf("%d mutated queries, each read twice within %v: %v\n", n, deadline, time.Since(start).Round(time.Millisecond))
		return true
	}
}

func readOrExplain(dialect, q string) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Printf("panic in dialect %q on %q\n", dialect, q)
			panic(p)
		}
	}()
	read(dialect, q)
}

// rough splits a query into words, numbers, runs of blanks and single other
// bytes, which is near enough to its tokens to mutate them.
func rough(q string) (tokens []string) {
	class := func(c byte) int {
		switch {
		case c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80:
			return 1
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			return 2
		}
		return 0
	}
	for start := 0; start < len(q); {
		end := start + 1
		for k := class(q[start]); k != 0 && end < len(q) && class(q[end]) == k; {
			end++
		}
		tokens = append(tokens, q[start:end])
		start = end
	}
	return tokens
}

// mutate changes a query in one place: a token is deleted, doubled, swapped
// with another, repeated many times or taken from another query, or a byte is
// changed, or the query is cut.
func mutate(random *rand.Rand, q string, queries []query) string {
	const longest = 64 << 10
	tokens := rough(q)
	if len(tokens) == 0 {
		return "("
	}
	i, j := random.IntN(len(tokens)), random.IntN(len(tokens))
	switch random.IntN(8) {
	case 0:
		tokens[i] = ""
	case 1:
		tokens[i] += tokens[i]
	case 2:
		tokens[i], tokens[j] = tokens[j], tokens[i]
	case 3:
		b := []byte(q)
		b[random.IntN(len(b))] = byte(random.IntN(256))
		return string(b)
	case 4:
		b := []byte(q)
		b[random.IntN(len(b))] = "'\"`$()[]{};,.-/*#@\\\n"[random.IntN(20)]
		return string(b)
	case 5:
		return q[:random.IntN(len(q)+1)]
	case 6:
		other := rough(queries[random.IntN(len(queries))].SQL)
		if len(other) > 0 {
			tokens[i] = other[random.IntN(len(other))]
		}
	case 7:
		if random.IntN(50) == 0 { // rarely: it makes the longest queries
			t := tokens[i]
			for len(t)+len(q) < longest/2 {
				t += t
			}
			tokens[i] = t
		}
	}
	var b []byte
	for _, t := range tokens {
		b = append(b, t...)
	}
	return string(b[:min(len(b), longest)])
}
