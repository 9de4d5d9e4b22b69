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
	pingEvery   = 250 * time.Millisecond // how often the connection that listens is tried
	pingTimeout = 750 * time.Millisecond // then it counts as broken
)

// Listen implements identity.Notifier. It has a connection of its own.
func (s *Store) Listen(ctx context.Context, heard func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	sqlstore.Listen(ctx, func() { s.listenOnce(ctx, heard, changed) })
}

// listenOnce listens until the connection breaks.
func (s *Store) listenOnce(ctx context.Context, heard func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	// The store opens first, and makes the schema.
	if _, err := s.DB(ctx); err != nil {
		return
	}
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(connecting, s.config.Copy())
	if err != nil {
		return
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		_ = conn.Close(closing) // it may be broken already
	}()
	if _, err := conn.Exec(connecting, `LISTEN `+channel); err != nil {
		return
	}
	from := time.Now()
	for {
		asked := time.Now()
		// What was committed before is told before the answer, or on its heels.
		if err := ping(ctx, conn); err != nil {
			return
		}
		heard(from, asked)
		waiting, cancel := context.WithTimeout(ctx, pingEvery)
		for {
			n, err := conn.WaitForNotification(waiting)
			if err != nil {
				break
			}
			sqlstore.Tell(n.Payload, changed)
		}
		idle := errors.Is(waiting.Err(), context.DeadlineExceeded)
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
