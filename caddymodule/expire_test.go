package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestExpire: a deletion pauses for as long as each of its steps took, one that is
// done or failed comes again in an hour, and closing the backend ends it.
func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var at []time.Duration
		begin := time.Now()
		step := func(ctx context.Context, now time.Time) (bool, error) {
			at = append(at, now.Sub(begin))
			switch len(at) {
			case 1:
				return true, nil
			case 2:
				time.Sleep(time.Second)
				return true, nil
			case 4:
				return true, errors.New("disk I/O error")
			case 5:
				<-ctx.Done()
				return false, ctx.Err()
			}
			return false, nil
		}
		b := new(backend)
		b.refs.Store(1)
		b.startExpiring(slog.New(slog.NewTextHandler(&log, nil)), step)
		time.Sleep(24 * time.Hour)
		b.release()
		third := minExpirePause + 2*time.Second
		want := []time.Duration{0, minExpirePause, third, third + time.Hour, third + 2*time.Hour}
		if len(at) != len(want) {
			t.Fatalf("steps at %v, want %v", at, want)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("steps at %v, want %v", at, want)
			}
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "disk I/O error") {
			t.Errorf("log: %s", got)
		}
	})
}
