// Package suspect remembers who has failed lately, and has each of them take turns, so
// that their attempts do not stand in the way of others'.
package suspect

import (
	"context"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Set is the set of those who have failed lately. Memory is bounded: with more of them
// than it remembers, the one that was least recently seen is forgotten.
type Set[K comparable] struct {
	lasting time.Duration
	seen    *lru.Cache[K, *suspect]
}

type suspect struct {
	turn  chan struct{} // a semaphore of one
	until atomic.Int64  // in nanoseconds since 1970
}

// NewSet returns a set that remembers a number of suspects, each for some time after
// the last failure.
func NewSet[K comparable](size int, lasting time.Duration) *Set[K] {
	seen, err := lru.New[K, *suspect](size)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Set[K]{lasting, seen}
}

// Add records that somebody failed.
func (s *Set[K]) Add(who K) {
	one, known := s.seen.Get(who)
	if !known {
		one = &suspect{turn: make(chan struct{}, 1)}
		if other, known, _ := s.seen.PeekOrAdd(who, one); known {
			one = other
		}
	}
	one.until.Store(time.Now().Add(s.lasting).UnixNano())
}

// Turn reports whether somebody is suspected. If so, it waits for their turn, which
// end ends and which comes after those that they asked for before. An error is the
// context's.
func (s *Set[K]) Turn(ctx context.Context, who K) (end func(), suspected bool, err error) {
	one, known := s.seen.Get(who)
	if !known || time.Now().UnixNano() > one.until.Load() {
		return nil, false, nil
	}
	select {
	case one.turn <- struct{}{}:
		return func() { <-one.turn }, true, nil
	case <-ctx.Done():
		return nil, true, context.Cause(ctx)
	}
}

// Len returns how many are remembered.
func (s *Set[K]) Len() int { return s.seen.Len() }
