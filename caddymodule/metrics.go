package caddymodule

import (
	"context"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/journal"
)

// metric is one series of Caddy's /metrics, read when it is scraped.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(journal.Stats, journal.ShipperStats) int64
}

func newMetric(kind prometheus.ValueType, name, help string, read func(journal.Stats, journal.ShipperStats) int64) metric {
	return metric{prometheus.NewDesc("tallygate_"+name, help, nil, nil), kind, read}
}

// metrics are those of the journal and the shipper. Their counters begin at zero
// with each process.
var metrics = []metric{
	newMetric(prometheus.CounterValue, "events_recorded_total", "Events appended to the journal.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.Appended }),
	newMetric(prometheus.CounterValue, "events_lost_full_total", "Events lost because the journal was full.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.DroppedFull }),
	newMetric(prometheus.CounterValue, "events_lost_failed_total", "Events lost because the journal could not be written.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.DroppedFailed }),
	newMetric(prometheus.CounterValue, "calls_refused_total", "Calls refused because their events could not have been kept.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.Refused }),
	newMetric(prometheus.GaugeValue, "calls_held", "Calls whose result is still to come after their request has ended.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return int64(j.PendingCalls) }),
	newMetric(prometheus.GaugeValue, "journal_pending_events", "Events in the journal that the ledger does not have yet.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.PendingEvents }),
	newMetric(prometheus.GaugeValue, "journal_pending_bytes", "Bytes of the events in the journal that the ledger does not have yet.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.PendingBytes }),
	newMetric(prometheus.GaugeValue, "journal_bytes", "Size of the journal's segments in bytes.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.Bytes }),
	newMetric(prometheus.CounterValue, "journal_corrupt_bytes_total", "Damaged bytes of the journal that were skipped.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.CorruptBytes }),
	newMetric(prometheus.CounterValue, "journal_sync_failures_total", "Times that the journal could not be forced to the disk.",
		func(j journal.Stats, _ journal.ShipperStats) int64 { return j.SyncFailures }),
	newMetric(prometheus.CounterValue, "events_shipped_total", "Events that the ledger has taken.",
		func(_ journal.Stats, s journal.ShipperStats) int64 { return s.Events }),
	newMetric(prometheus.CounterValue, "events_rejected_total", "Events that the ledger rejects and that were set aside.",
		func(_ journal.Stats, s journal.ShipperStats) int64 { return s.Rejected }),
	newMetric(prometheus.CounterValue, "ledger_failures_total", "Batches that the ledger did not take at an attempt.",
		func(_ journal.Stats, s journal.ShipperStats) int64 { return s.Failures }),
}

var (
	callsDesc    = prometheus.NewDesc("tallygate_calls_total", "Calls by server and outcome.", []string{"server", "outcome"}, nil)
	refusalsDesc = prometheus.NewDesc("tallygate_refusals_total", "Requests that the gate has refused, by server and reason.", []string{"server", "reason"}, nil)
	linesDesc    = prometheus.NewDesc("tallygate_default_rule_total",
		"Calls whose record count the default rule has found, by its line.", []string{"line"}, nil)
	unknownDesc = prometheus.NewDesc("tallygate_unknown_total",
		"Calls whose tables or records are unknown, by why.", []string{"question", "reason"}, nil)
	readyDesc = prometheus.NewDesc("tallygate_ready",
		"Whether a check of /readyz succeeds: store, ledger, journal.", []string{"check"}, nil)
)

// collector reads the metrics of an app. Every config has a registry of its
// own; the figures are the journal's and outlive it.
type collector struct{ app *App }

// Describe is prometheus.Collector's.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- callsDesc
	ch <- unknownDesc
	ch <- linesDesc
	ch <- refusalsDesc
	ch <- readyDesc
	for _, m := range metrics {
		ch <- m.desc
	}
}

// Collect is prometheus.Collector's.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	b := c.app.backend.Load()
	if b == nil || !b.acquire() {
		return
	}
	defer b.release()
	collectCounts(ch, b.pipeline.calls.Counters().Counts(slices.Collect(maps.Keys(c.app.servers))...))
	for name, check := range b.health.readiness(context.Background()).Checks {
		value := 0.0
		if check.OK {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, name)
	}
	journal, shipper := b.pipeline.journal.Stats(), b.pipeline.shipper.Stats()
	for _, m := range metrics {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.read(journal, shipper)))
	}
}

// collectCounts collects what the gates count.
func collectCounts(ch chan<- prometheus.Metric, n gate.Counts) {
	counter := func(desc *prometheus.Desc, value int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	for server, outcomes := range n.Calls {
		for outcome, value := range outcomes {
			counter(callsDesc, value, server, outcome)
		}
	}
	for server, reasons := range n.Refusals {
		for reason, value := range reasons {
			counter(refusalsDesc, value, server, reason)
		}
	}
	for line, value := range n.Lines {
		counter(linesDesc, value, line)
	}
	for aspect, reasons := range n.Unknown {
		for reason, value := range reasons {
			counter(unknownDesc, value, aspect, reason)
		}
	}
}

// Interface guards
var _ prometheus.Collector = collector{}
