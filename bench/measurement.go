package main

import (
	"cmp"
	"time"
)

// measurement is what is told of one gateway in one scenario.
type measurement struct {
	Result   string `json:"result"`
	Upstream string `json:"upstream"`
	Callers  int    `json:"callers"`
	Gateway  string `json:"gateway"`
	MCP      bool   `json:"mcp,omitempty"` // an MCP gateway of others

	Rate  spread   `json:"rate"`  // calls a second
	Ratio estimate `json:"ratio"` // of the rate to bare Caddy's

	P50, P99, P999     float64 // until the answer's last byte, in milliseconds
	FirstP50, FirstP99 float64 // until its first
	CPU                float64 // of the gateway, in microseconds a call
	Idle, Peak         float64 // MiB of memory

	Calls  int    `json:"calls"`
	Failed int    `json:"failed,omitempty"`
	Error  string `json:"error,omitempty"`
}

// spread is a median with its quartiles.
type spread struct{ Median, Low, High float64 }

// measurements tells of the samples of a scenario, of which the first is bare
// Caddy's.
func measurements(s scenario, samples []*sample) (all []measurement) {
	for _, sample := range samples {
		m := measurement{
			Result: s.result.String(), Upstream: s.upstream, Callers: s.callers,
			Gateway: sample.gateway.name, MCP: sample.gateway.mcp,
			Rate: spreadOf(sample.rates()), Ratio: sample.ratio(samples[0]),
			Idle: mib(sample.idle), Peak: mib(sample.peak),
		}
		var cpu time.Duration
		m.Calls, m.Failed, cpu = sample.calls()
		m.CPU = perCall(cpu, m.Calls)
		whole, begun := sample.latencies(last), sample.latencies(first)
		m.P50, m.P99, m.P999 = ms(quantile(whole, .5)), ms(quantile(whole, .99)), ms(quantile(whole, .999))
		m.FirstP50, m.FirstP99 = ms(quantile(begun, .5)), ms(quantile(begun, .99))
		if sample.err != nil {
			m.Error = sample.err.Error()
		}
		all = append(all, m)
	}
	return all
}

// kind is that of the results in a scenario.
type kind struct{ result, upstream string }

// String names it; the plain upstream goes without saying.
func (k kind) String() string {
	if k.upstream == "fixed" {
		return k.result
	}
	return k.result + ", from " + k.upstream
}

// perCall is the processor time of a call, in µs.
func perCall(cpu time.Duration, calls int) float64 {
	return float64(cpu.Nanoseconds()) / 1e3 / float64(max(calls, 1))
}

func mib(bytes int64) float64     { return float64(bytes) / (1 << 20) }
func ms(d time.Duration) float64  { return float64(d.Nanoseconds()) / 1e6 }
func over(a, b float64) float64   { return a / cmp.Or(b, 1) }
func (m measurement) kind() kind  { return kind{m.Result, m.Upstream} }
func (m measurement) known() bool { return m.Calls > 0 }
