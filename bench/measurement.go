package main

import (
	"fmt"
	"strings"
	"time"
)

// measurement is what was found of one gateway in one scenario.
type measurement struct {
	scenario scenario
	gateway  string

	rate  float64  // calls a second, the median of the windows
	ratio estimate // of calls a second to bare Caddy's

	p50, p99   time.Duration // until the answer's last byte
	firstP50   time.Duration // until its first
	cpu        float64       // of the gateway, in microseconds a call
	idle, peak float64       // memory in MiB
	calls      int
	failed     int
	err        error // why it was not measured, or one of the calls that failed
}

// measurements evaluates the samples of a scenario, the first of which is bare
// Caddy's.
func measurements(s scenario, samples []*sample) (all []measurement) {
	for _, sample := range samples {
		m := measurement{
			scenario: s, gateway: sample.gateway.name, err: sample.err,
			rate: median(sample.rates()), ratio: sample.ratio(samples[0]),
			idle: mib(sample.idle), peak: mib(sample.peak),
		}
		var cpu time.Duration
		m.calls, m.failed, cpu = sample.calls()
		m.cpu = float64(cpu.Nanoseconds()) / 1e3 / float64(max(m.calls, 1))
		whole := sample.latencies(func(c call) time.Duration { return c.last })
		first := sample.latencies(func(c call) time.Duration { return c.first })
		m.p50, m.p99, m.firstP50 = quantile(whole, .5), quantile(whole, .99), quantile(first, .5)
		all = append(all, m)
	}
	return all
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// table returns the measurements of one scenario as a Markdown table.
func table(ms []measurement) string {
	var b strings.Builder
	b.WriteString("| | calls/s | ratio | p50 ms | p99 ms | first byte ms | CPU µs/call | memory MiB |\n|---|---|---|---|---|---|---|---|\n")
	for _, m := range ms {
		if m.calls == 0 {
			fmt.Fprintf(&b, "| %s | not measured: %v |\n", m.gateway, m.err)
			continue
		}
		failed := ""
		if m.failed > 0 {
			failed = fmt.Sprintf(", %d calls failed: %v", m.failed, m.err)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.0f | %.0f (idle %.0f)%s |\n", m.gateway,
			short(m.rate), m.ratio, ms3(m.p50), ms3(m.p99), ms3(m.firstP50), m.cpu, m.peak, m.idle, failed)
	}
	return b.String()
}

// ms3 returns a duration in milliseconds with three significant digits.
func ms3(d time.Duration) string { return short(float64(d.Nanoseconds()) / 1e6) }

// short returns a number with three significant digits, or all before the point.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
