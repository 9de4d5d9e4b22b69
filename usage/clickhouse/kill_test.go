package clickhouse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

const (
	killedEnv = "TALLYGATE_TEST_KILLED_GATE" // DIR DSN: makes the test binary the gate that is killed
	killsEnv  = "TALLYGATE_TEST_KILLS"       // how often; 4 when unset
)

// ship opens the journal in dir and ships it to the DSN's ledger.
func ship(dir, dsn string) (*journal.Journal, *journal.Shipper, usage.Ledger, error) {
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(dir, journal.Options{Sync: journal.SyncNone, SegmentBytes: 128 << 10, Logger: quiet})
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := clickhouse.Open(dsn)
	if err != nil {
		return nil, nil, nil, err
	}
	shipper := journal.NewShipper(j, journal.ShipperOptions{
		BatchEvents: 300, BatchDelay: time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond, Logger: quiet,
	})
	shipper.Use(l)
	return j, shipper, l, nil
}

// runUntilKilled is a gate that appends, ships, and prints each event_id when
// its Append has returned.
func runUntilKilled(dir, dsn string) error {
	j, _, _, err := ship(dir, dsn)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		for _, e := range usagetest.Batch(n, 20, 10*time.Minute).Events {
			e.ID = uuid.Must(uuid.NewV7())
			if err := j.Append(&e); err != nil {
				return err
			}
			if _, err := fmt.Println(e.ID); err != nil {
				return err
			}
		}
		<-time.After(time.Millisecond) // lets the shipper keep pace
	}
}

// TestGateKilled kills a gate with -9 at random moments, again and again, and
// the server now and then, which moreover forgets tokens soon. Each event whose
// Append returned is a row, once.
func TestGateKilled(t *testing.T) {
	if dir, dsn, killed := strings.Cut(os.Getenv(killedEnv), " "); killed {
		t.Fatal(runUntilKilled(dir, dsn))
	}
	kills := 4
	if n := os.Getenv(killsEnv); n != "" {
		var err error
		if kills, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn, dir := newDatabase(t, server, protocol), filepath.Join(t.TempDir(), "journal")
			// Enough for an insert that is under way when its gate is killed, too
			// few for one that was done.
			const window = 8
			forgetful(t, server, dsn, window)
			others := 0
			answered := make(map[string]bool)
			for life := range kills {
				if life%4 == 2 {
					server.Restart(t)
				}
				killGate(t, dir, dsn, answered)
				another := open(t, dsn)
				for range window {
					mustWrite(t, another, batch(others, 1))
					others++
				}
			}

			j, shipper, l, err := ship(dir, dsn)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			if err := errors.Join(shipper.Flush(ctx), shipper.Close(), j.Close(), l.Close()); err != nil {
				t.Fatal(err)
			}
			table := database(dsn) + ".mcp_tool_usage_log"
			rows := strings.Fields(server.Query(t, "SELECT event_id FROM "+table))
			there := make(map[string]bool, len(rows))
			for _, id := range rows {
				there[id] = true
			}
			for id := range answered {
				if !there[id] {
					t.Errorf("event %s is lost", id)
				}
			}
			// A kill between Append and Println adds one.
			if most := len(answered) + kills + others + 1; len(rows) > most {
				t.Errorf("%d rows, at most %d were appended", len(rows), most)
			}
			wantRows(t, server, dsn, len(there))
			t.Logf("%d kills, %d events answered, %d rows", kills, len(answered), len(rows))
		})
	}
}

// killGate runs a gate until it has answered for some events, kills it, and
// adds them to answered.
func killGate(t *testing.T, dir, dsn string, answered map[string]bool) {
	t.Helper()
	gate := exec.Command(os.Args[0], "-test.run=^TestGateKilled$")
	gate.Env = append(os.Environ(), killedEnv+"="+dir+" "+dsn)
	out, err := gate.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	after := 1 + rand.IntN(2_000)
	n := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := uuid.Parse(lines.Text()); err != nil {
			t.Fatalf("the gate says %q", lines.Text())
		}
		answered[lines.Text()] = true
		if n++; n == after {
			if err := gate.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := gate.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the gate ended by itself: %v", err)
	}
}
