package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/internal/sqlstore"
	"github.com/tallygate/tallygate/internal/sqlitefile"
)

// pollInterval is how often the file is polled; much less than authn.MaxAge.
const pollInterval = 100 * time.Millisecond

// Listen implements identity.Notifier. It polls the table in which triggers record
// changes, those of this process too. That costs the same for any number of keys,
// and reading each key again does not.
func (s *Store) Listen(ctx context.Context, heartbeat func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	sqlstore.Listen(ctx, func() { s.listenOnce(ctx, heartbeat, changed) })
}

// listenOnce polls until a poll fails or finds that it has missed a change.
func (s *Store) listenOnce(ctx context.Context, heartbeat func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	// This makes the schema where it is missing.
	if _, err := s.DB(ctx); err != nil {
		return
	}
	db, err := sqlitefile.OpenReadOnly(s.path) // so that calls never wait for a poll
	if err != nil {
		return
	}
	defer func() { _ = db.Close() }() // it only read
	db.SetMaxOpenConns(1)
	poll, err := db.PrepareContext(ctx, `SELECT number, what FROM changes WHERE number > $1 ORDER BY number`)
	if err != nil {
		return
	}
	defer func() { _ = poll.Close() }()
	var last int64
	if err := db.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) FROM changes`).Scan(&last); err != nil {
		return
	}
	from := time.Now().Add(1) // a read at this very instant may be older than max(number)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		polled := time.Now()
		if last, err = report(ctx, poll, last, changed); err != nil {
			return
		}
		heartbeat(from, polled)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

var errMissed = errors.New("changes were deleted before they were read")

// report reports the changes after the last one, and returns the new last one.
func report(ctx context.Context, poll *sql.Stmt, last int64, changed func(userID string, key identity.Digest)) (int64, error) {
	rows, err := poll.QueryContext(ctx, last)
	if err != nil {
		return last, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has returned any error
	for rows.Next() {
		var number int64
		var change string
		if err := rows.Scan(&number, &change); err != nil {
			return last, err
		}
		if number != last+1 {
			return last, errMissed
		}
		last = number
		sqlstore.Notify(change, changed)
	}
	return last, rows.Err()
}
