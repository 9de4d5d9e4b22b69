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

// listenEvery is how often the file is looked at; much less than identity.MaxAge.
const listenEvery = 100 * time.Millisecond

// Listen implements identity.Notifier: it looks again and again at what
// triggers wrote of changes, of this process's too. So keys need not be read
// anew one by one, however many there are.
func (s *Store) Listen(ctx context.Context, heard func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	sqlstore.Listen(ctx, func() { s.listenOnce(ctx, heard, changed) })
}

// listenOnce listens until a look fails, or has missed something.
func (s *Store) listenOnce(ctx context.Context, heard func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	// The store opens first, and makes the schema.
	if _, err := s.DB(ctx); err != nil {
		return
	}
	db, err := sqlitefile.OpenReadOnly(s.path) // calls never wait for a look
	if err != nil {
		return
	}
	defer func() { _ = db.Close() }() // nothing was written
	db.SetMaxOpenConns(1)
	look, err := db.PrepareContext(ctx, `SELECT number, what FROM changes WHERE number > $1 ORDER BY number`)
	if err != nil {
		return
	}
	defer func() { _ = look.Close() }()
	var last int64
	if err := db.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) FROM changes`).Scan(&last); err != nil {
		return
	}
	from := time.Now().Add(1) // what was read at this very instant may be of before
	ticker := time.NewTicker(listenEvery)
	defer ticker.Stop()
	for {
		asked := time.Now()
		if last, err = tell(ctx, look, last, changed); err != nil {
			return
		}
		heard(from, asked)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

var errMissed = errors.New("changes were forgotten before they were told of")

// tell tells of the changes behind the last, and returns which is the last now.
func tell(ctx context.Context, look *sql.Stmt, last int64, changed func(userID string, key identity.Digest)) (int64, error) {
	rows, err := look.QueryContext(ctx, last)
	if err != nil {
		return last, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has said what there is to say
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
		sqlstore.Tell(change, changed)
	}
	return last, rows.Err()
}
