package caddymodule

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tallygate/tallygate/mcp"
)

// unknownsOf collects unknowns and nothing else.
type unknownsOf struct{ *unknowns }

func (unknownsOf) Describe(ch chan<- *prometheus.Desc)   { ch <- unknownDesc }
func (u unknownsOf) Collect(ch chan<- prometheus.Metric) { u.collect(ch) }

func TestUnknowns(t *testing.T) {
	var u unknowns
	u.add(questionTables, mcp.NoRule.String())
	u.add(questionTables, mcp.NoRule.String())
	u.add(questionRecords, reasonUnreadable)
	u.add(questionRecords, mcp.Known.String())
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(unknownsOf{&u})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		label := func(i int) *dto.LabelPair { return m.GetLabel()[i] }
		got[fmt.Sprintf("%s=%s %s=%s", label(0).GetName(), label(0).GetValue(), label(1).GetName(), label(1).GetValue())] = m.GetCounter().GetValue()
	}
	if n := len(got); n != 2*len(reasons) || len(reasons) != len(mcp.Reasons())+2 {
		t.Errorf("%d series for %q", n, reasons)
	}
	for series, n := range got {
		want := map[string]float64{"question=tables reason=no_rule": 2, "question=records reason=unreadable": 1}[series]
		if n != want {
			t.Errorf("%s: %v, want %v", series, n, want)
		}
	}
}
