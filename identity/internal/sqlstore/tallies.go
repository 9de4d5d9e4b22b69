package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// tallyRow is a tally, with the database's time at which it was read.
type tallyRow struct {
	keyID string
	tally identity.Tally
	now   time.Time
}

func tallyFields(r *tallyRow) []any {
	return []any{&r.keyID, asJSON{&r.tally}, micros{&r.now}}
}

// UpdateTallies implements identity.Store. However many keys there are, it
// takes as many statements.
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
	return s.change(ctx, func(t tx) error {
		// In the order of IDs, so that no two wait for each other.
		query := `SELECT key_id, tally, ` + s.dialect.Now + ` FROM tallies WHERE key_id IN (SELECT key FROM ` + s.dialect.JSONEach + ` AS wanted)
			ORDER BY key_id` + s.dialect.ForUpdate
		rows, err := list(t.ctx, t, tallyFields, query, string(wanted))
		if err != nil {
			return err
		}
		if len(rows) < len(order) {
			if _, err := t.exec(`INSERT INTO tallies (key_id, tally) SELECT key, '{}' FROM `+s.dialect.JSONEach+` AS wanted
				WHERE true ORDER BY key ON CONFLICT (key_id) DO NOTHING`, string(wanted)); err != nil {
				return err
			}
			if rows, err = list(t.ctx, t, tallyFields, query, string(wanted)); err != nil {
				return err
			}
		}
		tallies := make([]identity.Tally, len(keyIDs))
		for _, r := range rows {
			tallies[order[r.keyID]] = r.tally
		}
		update(rows[0].now, tallies)

		changed := make(map[string]string, len(keyIDs))
		for i, id := range keyIDs {
			b, err := json.Marshal(tallies[i])
			if err != nil {
				return err
			}
			changed[id] = string(b)
		}
		written, err := json.Marshal(changed)
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE tallies SET tally = changed.value FROM `+s.dialect.JSONEach+` AS changed WHERE tallies.key_id = changed.key`,
			string(written))
		return err
	})
}
