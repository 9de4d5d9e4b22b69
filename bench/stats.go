package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// estimate is a figure with its 95 % confidence interval.
type estimate struct{ value, low, high float64 }

// String returns the figure and its interval.
func (e estimate) String() string { return fmt.Sprintf("%.2f (%.2f–%.2f)", e.value, e.low, e.high) }

// bootstrap estimates a figure of values. The interval is taken from 2,000
// resamples (the percentile bootstrap), which assumes nothing about how the
// values are distributed.
func bootstrap[T any](values []T, figure func([]T) float64) estimate {
	if len(values) == 0 {
		return estimate{}
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same values give the same interval
	figures := make([]float64, 2000)
	resample := make([]T, len(values))
	for i := range figures {
		for j := range resample {
			resample[j] = values[random.IntN(len(values))]
		}
		figures[i] = figure(resample)
	}
	slices.Sort(figures)
	return estimate{figure(values), figures[len(figures)/40], figures[len(figures)-1-len(figures)/40]}
}

// median returns the median, without changing the order of values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// rates returns a sample's calls a second in each window that was measured.
func (s *sample) rates() (all []float64) {
	for _, w := range s.windows {
		if w.took > 0 {
			all = append(all, w.rate())
		}
	}
	return all
}

// ratio compares a sample's calls a second with bare Caddy's, over all cycles
// in which both were measured. A median of the windows would leave out what
// happens in few of them, such as a batch for the ledger.
func (s *sample) ratio(bare *sample) estimate {
	var both [][2]window
	for i, w := range s.windows {
		if b := bare.windows[i]; w.took > 0 && b.took > 0 {
			both = append(both, [2]window{w, b})
		}
	}
	return bootstrap(both, func(pairs [][2]window) float64 {
		var calls, seconds [2]float64
		for _, pair := range pairs {
			for i, w := range pair {
				calls[i] += float64(len(w.calls))
				seconds[i] += w.took.Seconds()
			}
		}
		if calls[1] == 0 {
			return 0
		}
		return calls[0] / seconds[0] * seconds[1] / calls[1]
	})
}

// calls returns how many calls were answered correctly, how many were not, and
// the gateway's processor time meanwhile.
func (s *sample) calls() (answered, failed int, cpu time.Duration) {
	for _, w := range s.windows {
		answered += len(w.calls)
		failed += w.errors
		cpu += w.cpu
	}
	return answered, failed, cpu
}

// latencies returns those of all calls, sorted.
func (s *sample) latencies(of func(call) time.Duration) []time.Duration {
	var all []time.Duration
	for _, w := range s.windows {
		for _, c := range w.calls {
			all = append(all, of(c))
		}
	}
	slices.Sort(all)
	return all
}

// quantile returns a quantile of sorted latencies.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
