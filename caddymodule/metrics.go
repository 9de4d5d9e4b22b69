package caddymodule

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
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

// metrics tell how the journal and the shipper do. What the processes before
// this one did is not in their counters.
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
	callsDesc     = prometheus.NewDesc("tallygate_calls_total", "Calls by outcome.", []string{"outcome"}, nil)
	deniedDesc    = prometheus.NewDesc("tallygate_calls_denied_total", "Calls denied to keys, by their scopes or by the limit that they would have exceeded.", []string{"by"}, nil)
	throttledDesc = prometheus.NewDesc("tallygate_keys_throttled_total", "Requests refused because too many keys that do not exist came from their address.", nil, nil)
)

var unknownDesc = prometheus.NewDesc("tallygate_unknown_total",
	"Calls whose tables or records are unknown, by why.", []string{"question", "reason"}, nil)

// aspect is what a call can leave unknown.
type aspect uint8

const (
	aspectTables aspect = iota
	aspectRecords
)

var aspects = [...]string{aspectTables: "tables", aspectRecords: "records"}

// Reasons of the gate's own, beside those of mcp.Reasons.
const (
	reasonNoResult   = "no_result"  // the call ended without a result
	reasonUnreadable = "unreadable" // its result came in a coding or of a type that is not read
)

var reasons = func() (all []string) {
	for _, r := range mcp.Reasons() {
		all = append(all, r.String())
	}
	return append(all, reasonNoResult, reasonUnreadable)
}()

// unknowns counts what calls leave unknown. The zero value is ready.
type unknowns [len(aspects)][16]atomic.Int64 // by the reason's place in reasons

// add counts one call. The reason is one of mcp.Reasons or of the gate's own; a
// known answer, which has none, is not counted.
func (u *unknowns) add(a aspect, reason string) {
	if reason == "" {
		return
	}
	if i := slices.Index(reasons, reason); i >= 0 {
		u[a][i].Add(1)
	}
}

func (u *unknowns) collect(ch chan<- prometheus.Metric) {
	for a, name := range aspects {
		for i, reason := range reasons {
			ch <- prometheus.MustNewConstMetric(unknownDesc, prometheus.CounterValue, float64(u[a][i].Load()), name, reason)
		}
	}
}

// collector reads the metrics of an app. Every config has a registry of its
// own; the figures are the journal's and outlive it.
type collector struct{ app *App }

// Describe is prometheus.Collector's.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- callsDesc
	ch <- unknownDesc
	ch <- deniedDesc
	ch <- throttledDesc
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
	for i, outcome := range usage.Outcomes {
		ch <- prometheus.MustNewConstMetric(callsDesc, prometheus.CounterValue, float64(b.pipeline.calls[i].Load()), string(outcome))
	}
	b.pipeline.unknowns.collect(ch)
	keys := &b.pipeline.keys
	for i, why := range denials {
		ch <- prometheus.MustNewConstMetric(deniedDesc, prometheus.CounterValue, float64(keys.denied[i].Load()), why)
	}
	ch <- prometheus.MustNewConstMetric(throttledDesc, prometheus.CounterValue, float64(keys.throttled.Load()))
	journal, shipper := b.pipeline.journal.Stats(), b.pipeline.shipper.Stats()
	for _, m := range metrics {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.read(journal, shipper)))
	}
}

// Interface guards
var _ prometheus.Collector = collector{}
