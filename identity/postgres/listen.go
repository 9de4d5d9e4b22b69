package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/internal/sqlstore"
)

const (
	pingInterval = 250 * time.Millisecond // of the connection that listens
	pingTimeout  = 750 * time.Millisecond // then it counts as broken
)

// Listen implements identity.Notifier. It opens a connection of its own.
func (s *Store) Listen(ctx context.Context, heartbeat func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	sqlstore.Listen(ctx, func() { s.listenOnce(ctx, heartbeat, changed) })
}

// listenOnce listens until the connection breaks.
func (s *Store) listenOnce(ctx context.Context, heartbeat func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	// This makes the schema where it is missing.
	if _, err := s.DB(ctx); err != nil {
		return
	}
	connectCtx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(connectCtx, s.config.Copy())
	if err != nil {
		return
	}
	defer func() {
		closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		_ = conn.Close(closeCtx) // it may be broken already
	}()
	if _, err := conn.Exec(connectCtx, `LISTEN `+channel); err != nil {
		return
	}
	from := time.Now()
	for {
		pinged := time.Now()
		// Notifications of what was committed before the ping arrive before the
		// answer or right after it.
		if err := ping(ctx, conn); err != nil {
			return
		}
		heartbeat(from, pinged)
		waitCtx, cancel := context.WithTimeout(ctx, pingInterval)
		for {
			n, err := conn.WaitForNotification(waitCtx)
			if err != nil {
				break
			}
			sqlstore.Notify(n.Payload, changed)
		}
		idle := errors.Is(waitCtx.Err(), context.DeadlineExceeded)
		cancel()
		if !idle || conn.IsClosed() {
			return
		}
	}
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return conn.Ping(ctx)
}
