package suspect

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestSet: who has failed is suspected for a while after the last failure, and has one
// turn at a time, failures meanwhile included. Nobody else waits.
func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet[string](2, time.Minute)
		suspected := func(who string) bool {
			end, suspected, err := s.Turn(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			if suspected {
				end()
			}
			return suspected
		}
		if suspected("a") {
			t.Error("somebody without failures is suspected")
		}
		s.Add("a")
		time.Sleep(time.Minute)
		s.Add("a")
		time.Sleep(time.Minute)
		if !suspected("a") || suspected("b") {
			t.Error("the failure is forgotten, or is somebody else's")
		}
		time.Sleep(time.Nanosecond)
		if suspected("a") {
			t.Error("the failure is remembered for too long")
		}

		s.Add("a")
		began := time.Now()
		var g sync.WaitGroup
		for range 5 {
			g.Go(func() {
				end, _, err := s.Turn(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Second)
				s.Add("a") // the turn stays the same
				end()
			})
		}
		g.Wait()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("five turns of a second took %v", took)
		}

		end, _, err := s.Turn(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, suspected, err := s.Turn(ctx, "a"); !suspected || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting in vain: %t, %v", suspected, err)
		}
		end()

		s.Add("b")
		s.Add("c")
		if s.Len() != 2 || suspected("a") {
			t.Errorf("%d are remembered", s.Len())
		}
	})
}
