package usagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// EventPerColumn returns one event for each stored column, in which only that
// column, the ID and the time are known. Code that forgets a column loses all that
// its event says.
func EventPerColumn() []usage.Event {
	events := make([]usage.Event, len(usage.StoredColumns))
	for i, c := range usage.StoredColumns {
		e := &events[i]
		e.ID = uuid.NewSHA1(uuid.Nil, []byte(c.Name))
		e.Time = noon.Add(time.Duration(i) * time.Microsecond)
		switch field := c.Field(e).(type) {
		case *string:
			*field = "value of " + c.Name
		case *int64:
			*field = int64(1000 + i)
		case *usage.NullInt64:
			*field = usage.Int64(int64(2000 + i))
		case *[]string:
			*field = []string{"first of " + c.Name, "second"}
		case *uuid.UUID, *time.Time: // the ID and the time are set already
		default:
			panic(fmt.Sprintf("column %s: no value of type %T", c.Name, field))
		}
	}
	return events
}

// testEveryColumn writes an event for each column and reads it back.
func testEveryColumn(t *testing.T, open func() usage.Ledger) {
	l := open()
	events := EventPerColumn()
	write(t, l, batch(events...))
	wantEvents(t, l, events)
}
