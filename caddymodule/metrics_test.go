package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/gate"
)

// countsCollector collects counts and nothing else.
type countsCollector struct{ counts gate.Counts }

func (countsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{callsDesc, refusalsDesc, unknownDesc} {
		ch <- d
	}
}

func (c countsCollector) Collect(ch chan<- prometheus.Metric) { collectCounts(ch, c.counts) }

func TestCollectCounts(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(countsCollector{gate.Counts{
		Calls:    map[string]map[string]int64{"stock-data": {"ok": 3, "aborted": 0}},
		Refusals: map[string]map[string]int64{"stock-data": {"scope": 4, "throttled": 5}},
		Unknown:  map[string]map[string]int64{"tables": {"no_rule": 2}, "records": {"unreadable": 1}},
	}})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			got[fmt.Sprintf("%s{%s}", f.GetName(), strings.Join(labels, ","))] = m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{
		"tallygate_calls_total{outcome=ok,server=stock-data}":          3,
		"tallygate_calls_total{outcome=aborted,server=stock-data}":     0,
		"tallygate_refusals_total{reason=scope,server=stock-data}":     4,
		"tallygate_refusals_total{reason=throttled,server=stock-data}": 5,
		"tallygate_unknown_total{question=tables,reason=no_rule}":      2,
		"tallygate_unknown_total{question=records,reason=unreadable}":  1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the metrics (-want +got):\n%s", diff)
	}
}
