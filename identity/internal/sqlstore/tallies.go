package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// tallyRow is a tally and the database's time when it was read.
type tallyRow struct {
	keyID string
	tally identity.Tally
	now   time.Time
}

func tallyFields(r *tallyRow) []any {
	return []any{&r.keyID, asJSON{&r.tally}, micros{&r.now}}
}

// UpdateTallies implements identity.Store. It takes the same number of statements
// for any number of keys.
func (s *Store) UpdateTallies(ctx context.Context, keyIDs []string, update func(time.Time, []identity.Tally)) error {
	if len(keyIDs) == 0 {
		return nil
	}
	order := make(map[string]int, len(keyIDs))
	for i, id := range keyIDs {
		order[id] = i
	}
	wanted, err := json.Marshal(order)
	if err != nil {
		return err
	}
	for {
		var found bool
		err := s.change(ctx, func(t tx) (err error) {
			found, err = t.updateTallies(string(wanted), order, update)
			return err
		})
		if err != nil || found {
			return err
		}
		// In a transaction of its own: one that held locks on rows while it added
		// others could deadlock with another.
		err = s.change(ctx, func(t tx) error {
			_, err := t.exec(`INSERT INTO tallies (key_id, tally) SELECT key, '{}' FROM `+s.dialect.JSONEach+` AS wanted
				WHERE true ORDER BY key ON CONFLICT (key_id) DO NOTHING`, string(wanted))
			return err
		})
		if err != nil {
			return err
		}
	}
}

// updateTallies updates the tallies of the keys whose IDs are the names in wanted,
// a JSON object, and the keys of order. It changes nothing and returns false when
// one of the rows does not exist yet.
func (t tx) updateTallies(wanted string, order map[string]int, update func(time.Time, []identity.Tally)) (bool, error) {
	dialect := t.s.dialect
	// Rows are locked in the order of their IDs, which avoids deadlocks.
	rows, err := list(t.ctx, t, tallyFields, `SELECT key_id, tally, `+dialect.Now+` FROM tallies
		WHERE key_id IN (SELECT key FROM `+dialect.JSONEach+` AS wanted) ORDER BY key_id`+dialect.ForUpdate, wanted)
	if err != nil || len(rows) < len(order) {
		return false, err
	}
	tallies := make([]identity.Tally, len(order))
	for _, r := range rows {
		tallies[order[r.keyID]] = r.tally
	}
	update(rows[0].now, tallies)

	changed := make(map[string]string, len(order))
	for id, i := range order {
		b, err := json.Marshal(tallies[i])
		if err != nil {
			return false, err
		}
		changed[id] = string(b)
	}
	written, err := json.Marshal(changed)
	if err != nil {
		return false, err
	}
	_, err = t.exec(`UPDATE tallies SET tally = changed.value FROM `+dialect.JSONEach+` AS changed WHERE tallies.key_id = changed.key`,
		string(written))
	return true, err
}
