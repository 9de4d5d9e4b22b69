package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// estimate is a figure with the interval that holds it with 95 % confidence.
type estimate struct{ Value, Low, High float64 }

// estimateOf is the median of values.
func estimateOf(values []float64) estimate { return bootstrap(values, median) }

// bootstrap estimates a figure of values. It takes the interval from those of
// 2,000 resamples (the percentile bootstrap): it asks nothing of how the values
// are spread.
func bootstrap[T any](values []T, figure func([]T) float64) estimate {
	if len(values) == 0 {
		return estimate{}
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same values give the same interval
	figures := make([]float64, 2000)
	again := make([]T, len(values))
	for i := range figures {
		for j := range again {
			again[j] = values[random.IntN(len(values))]
		}
		figures[i] = figure(again)
	}
	slices.Sort(figures)
	return estimate{figure(values), figures[len(figures)/40], figures[len(figures)-1-len(figures)/40]}
}

// spreadOf is the median of values with their quartiles.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return spread{median(sorted), sorted[len(sorted)/4], sorted[len(sorted)*3/4]}
}

// median sorts a copy.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// rates are a sample's calls a second, by window; those of a gateway that
// answered nothing in a window are 0.
func (s *sample) rates() []float64 { return s.each(window.rate) }

// ratio compares a sample's calls a second to those of bare Caddy's, over all
// cycles in which both were measured: a median would leave out what comes in few
// windows, such as a batch for the ledger.
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
		return over(calls[0]/seconds[0], calls[1]/seconds[1])
	})
}

// compared is the ratio of a figure of windows to that of another sample, cycle
// by cycle.
func (s *sample) compared(to *sample, figure func(window) float64) estimate {
	var ratios []float64
	for i, w := range s.windows {
		if b := to.windows[i]; w.took > 0 && b.took > 0 && figure(b) > 0 {
			ratios = append(ratios, figure(w)/figure(b))
		}
	}
	return estimateOf(ratios)
}

// each is a figure of all windows that were measured.
func (s *sample) each(figure func(window) float64) (values []float64) {
	for _, w := range s.windows {
		if w.took > 0 {
			values = append(values, figure(w))
		}
	}
	return values
}

// calls is how many calls were answered rightly, how many were not, and the
// gateway's processor time meanwhile.
func (s *sample) calls() (answered, failed int, cpu time.Duration) {
	for _, w := range s.windows {
		answered += len(w.calls)
		failed += w.errors
		cpu += w.cpu
	}
	return answered, failed, cpu
}

// latencies are those of all calls, sorted, to the first byte or to the last.
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

func first(c call) time.Duration { return c.first }
func last(c call) time.Duration  { return c.last }

// quantile of sorted latencies.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
