package caddymodule

import (
	"context"
	"log/slog"
	"time"
)

// How often expire looks for what is too old, and the shortest pause between two
// steps of a deletion.
const (
	expireInterval = time.Hour
	minExpirePause = 10 * time.Millisecond
)

// expire deletes what is too old until the context ends. step deletes some of it, and
// reports whether there is more. After each step it pauses for as long as the step
// took, so that deletions never need more than half of what the database can do.
func expire(ctx context.Context, log *slog.Logger, step func(ctx context.Context, now time.Time) (more bool, err error)) {
	for {
		start := time.Now()
		more, err := step(ctx, start)
		if err != nil && ctx.Err() == nil {
			log.Warn("what is too old could not be deleted", "error", err, "again_in", expireInterval)
		}
		pause := expireInterval
		if more && err == nil {
			pause = max(minExpirePause, time.Since(start))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// startExpiring runs expire in the background until the backend is closed.
func (b *backend) startExpiring(log *slog.Logger, step func(ctx context.Context, now time.Time) (more bool, err error)) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		expire(ctx, log, step)
	}()
	b.closers = append(b.closers, func() { stop(); <-ended })
}
