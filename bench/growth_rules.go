package main

import (
	"fmt"
	"strings"
	"time"
)

// growRules compares gates that have more and more rules, of which the last
// is that of the tool that is called.
func growRules(e *environment, quick bool) ([]curve, error) {
	sizes, p := []int{1, 10, 100, 1_000}, plan{cycles: 60, window: 250 * time.Millisecond, peers: 1}
	if quick {
		sizes, p = []int{1, 1_000}, plan{cycles: 8, window: 150 * time.Millisecond, peers: 1}
	}
	var all []curve
	for _, series := range []struct{ name, glob string }{
		{"names of tools", "other_%04d"},
		{"globs that begin as the tool's name does", "query_*_%04d"},
	} {
		var gates []gateway
		for _, n := range sizes {
			rules := manyRules(n, series.glob, small().tool)
			gates = append(gates, gateway{
				name: fmt.Sprint("gate with ", n, " rules"), path: "/mcp",
				start: func(d deployment) (*service, error) {
					return startCaddy(d, "tallygate", gateConfig(d, sqliteLedger, rules))
				},
			})
		}
		curves, err := e.against("rules", series.name, "rules", sizes, gates, p)
		if err != nil {
			return nil, err
		}
		all = append(all, curves...)
	}
	return all, nil
}

// manyRules are n rules as the Caddyfile has them: with globs out of a number,
// and at the end that of a tool.
func manyRules(n int, glob, tool string) string {
	var b strings.Builder
	for i := range n {
		name := fmt.Sprintf(glob, i)
		if i == n-1 {
			name = tool
		}
		fmt.Fprintf(&b, "\t\ttool %s {\n\t\t\ttable arguments.table\n\t\t\trecords result.structuredContent.rows.#\n\t\t}\n", name)
	}
	return b.String()
}
