package main

import (
	"fmt"
	"time"
)

// curve is how one figure grows with one thing. Curves of one group and figure
// belong in one picture, each being a series in it.
type curve struct {
	Group  string  `json:"group"`  // keys, rules, streams, startup or rows
	Figure string  `json:"figure"` // what was measured, as in calls/s
	Series string  `json:"series"` // of what, or under which circumstances
	X      string  `json:"x"`      // what grows, as in "keys in the store"
	Unit   string  `json:"unit"`   // of the points' values; empty: a ratio
	Points []point `json:"points"` // by x
}

// point is a median with the interval that holds it with 95 % confidence. Where
// something was measured once, all three are the same.
type point struct {
	X      int     `json:"x"`
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func (e estimate) at(x int) point { return point{x, e.Value, e.Low, e.High} }

// once is the estimate of what was measured once.
func once(value float64) estimate { return estimate{value, value, value} }

// growths are what cost may grow with, by the names that grow takes.
var growths = map[string]func(e *environment, quick bool) ([]curve, error){
	"keys":    growKeys,
	"rules":   growRules,
	"streams": growStreams,
	"startup": growStartup,
	"rows":    growRows,
}

// grow measures how cost grows with what is named. The quick form has smaller
// sizes and fewer windows.
func grow(e *environment, names []string, quick bool) ([]curve, error) {
	for _, g := range []gateway{bareCaddy, gate(gateName, "", sqliteLedger)} { // of which theirs are variants
		if err := g.prepare(e.cache); err != nil {
			return nil, err
		}
	}
	var all []curve
	for _, name := range names {
		measure := growths[name]
		if measure == nil {
			return nil, fmt.Errorf("%q is none of keys, rules, streams, startup and rows", name)
		}
		begun := time.Now()
		curves, err := measure(e, quick)
		if err != nil {
			return nil, fmt.Errorf("how cost grows with %s: %w", name, err)
		}
		fmt.Printf("growth of %s: %v\n", name, time.Since(begun).Round(time.Second))
		all = append(all, curves...)
	}
	return all, nil
}

// small is the load under which growth shows most: of small results, a call is
// mostly the gate's work.
func small() *result { return newResult(2<<10, 0, false) }

// against measures gates that differ in one number, which are in the order of
// xs, and compares them to the first.
func (e *environment) against(group, series, x string, xs []int, gates []gateway, p plan) ([]curve, error) {
	samples, err := compare(scenario{small(), "fixed", 16}, gates, p, e)
	if err != nil {
		return nil, err
	}
	all := []curve{
		{Figure: "calls/s as a ratio"}, {Figure: "CPU time of a call as a ratio"},
		{Figure: "calls/s", Unit: "calls/s"}, {Figure: "CPU time of a call", Unit: "µs"}, {Figure: "p99", Unit: "ms"},
		{Figure: "memory at its peak", Unit: "MiB"},
	}
	for i, s := range samples {
		if s.err != nil {
			return nil, fmt.Errorf("%s: %w", s.gateway.name, s.err)
		}
		for c, value := range []estimate{
			s.ratio(samples[0]), s.compared(samples[0], window.work),
			estimateOf(s.rates()), estimateOf(s.each(window.work)), estimateOf(s.each(window.slowest)),
			once(mib(s.peak)),
		} {
			all[c].Points = append(all[c].Points, value.at(xs[i]))
		}
	}
	for c := range all {
		all[c].Group, all[c].Series, all[c].X = group, series, x
	}
	return all, nil
}

// work is the gateway's processor time for a call, in µs.
func (w window) work() float64 { return perCall(w.cpu, len(w.calls)) }

// slowest is the 99th percentile of how long calls took, in ms.
func (w window) slowest() float64 {
	one := sample{windows: []window{w}}
	return ms(quantile(one.latencies(last), .99))
}
