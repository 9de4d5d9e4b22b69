package caddymodule

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/tallygate/tallygate/journal"
)

// JournalConfig says where events wait for the ledger, and with which guarantees.
// A reload may change everything but the folder of a journal in use.
type JournalConfig struct {
	// The folder. One process at a time may use it.
	// Default: the environment variable TALLYGATE_JOURNAL, or else
	// `data/journal`.
	Folder string `json:"folder,omitempty"`

	// When events are synced to the disk, so that they survive a crash of the
	// machine; they survive a crash of the process in any case. `interval`:
	// together, every `sync_interval`. `always`: before the call's result reaches
	// the client. `none`: when the operating system decides.
	// Default: `interval`.
	Sync journal.SyncMode `json:"sync,omitempty"`

	// How much of the newest events a crash of the machine may lose under
	// `interval`. Default: 100ms.
	SyncInterval caddy.Duration `json:"sync_interval,omitempty"`

	// The most bytes that the journal takes on disk, without pending calls and events
	// that the ledger rejects. Default: 1073741824 (1 GiB).
	MaxSize int64 `json:"max_size,omitempty"`

	// The size of a segment in bytes, at most a quarter of `max_size`. Space is freed
	// a segment at a time. Default: 67108864 (64 MiB).
	SegmentSize int64 `json:"segment_size,omitempty"`

	// What to do when the journal is full. `drop`: calls go on, their events are
	// lost, counted and logged. `refuse`: calls are answered with 503 before they
	// reach the upstream; this holds too while the disk takes no event.
	// Default: `drop`.
	OnFull journal.FullMode `json:"on_full,omitempty"`

	// The most calls that may be pending, that is, whose result has not come when
	// their request ends.
	// Default: 100000.
	MaxHeld int `json:"max_held,omitempty"`

	// The most events that are sent to the ledger at a time. Default: 10000.
	BatchEvents int `json:"batch_events,omitempty"`

	// How long events wait for a batch to fill. Default: 1s.
	BatchDelay caddy.Duration `json:"batch_delay,omitempty"`
}

// The least and the most that a journal's options may be.
const (
	minJournalSize = 64 << 10
	maxJournalSize = 1 << 50
	maxBatchEvents = 1_000_000
)

// complete fills in the folder and checks the rest.
func (c *JournalConfig) complete() error {
	c.Folder = setting(c.Folder, "TALLYGATE_JOURNAL", "data/journal")
	if err := c.options(nil).Validate(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	for name, size := range map[string]int64{"max_size": c.MaxSize, "segment_size": c.SegmentSize} {
		if size != 0 && (size < minJournalSize || size > maxJournalSize) {
			return fmt.Errorf("journal: %s: %d is not from %d to %d", name, size, minJournalSize, maxJournalSize)
		}
	}
	if c.BatchEvents < 0 || c.BatchEvents > maxBatchEvents || c.BatchDelay < 0 {
		return fmt.Errorf("journal: a batch is of 1 to %d events and waits no negative time", maxBatchEvents)
	}
	return nil
}

func (c *JournalConfig) options(log *slog.Logger) journal.Options {
	return journal.Options{
		Sync:         c.Sync,
		SyncInterval: time.Duration(c.SyncInterval),
		MaxBytes:     c.MaxSize,
		OnFull:       c.OnFull,
		SegmentBytes: c.SegmentSize,
		MaxPending:   c.MaxHeld,
		Logger:       log,
	}
}

func (c *JournalConfig) shipping(log *slog.Logger) journal.ShipperOptions {
	return journal.ShipperOptions{
		BatchEvents: c.BatchEvents,
		BatchDelay:  time.Duration(c.BatchDelay),
		Logger:      log,
	}
}

// unmarshalCaddyfile reads the option, d standing at its name:
//
//	journal [<folder>] {
//		sync         interval [<duration>] | always | none
//		max_size     <size>
//		segment_size <size>
//		on_full      drop | refuse
//		max_held     <calls>
//		batch        <events> [<delay>]
//	}
func (c *JournalConfig) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if *c != (JournalConfig{}) {
		return d.Err("journal is given twice")
	}
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.Err("journal takes one argument")
	}
	if len(args) == 1 {
		c.Folder = args[0]
	}
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		read, ok := map[string]func(*caddyfile.Dispenser, []string) error{
			"sync":         c.readSync,
			"max_size":     sizeOption(name, &c.MaxSize),
			"segment_size": sizeOption(name, &c.SegmentSize),
			"on_full":      c.readOnFull,
			"max_held":     c.readMaxHeld,
			"batch":        c.readBatch,
		}[name]
		if !ok {
			return d.Errf("unknown option %q of the journal; there are sync, max_size, segment_size, on_full, max_held and batch", name)
		}
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := read(d, d.RemainingArgs()); err != nil {
			return err
		}
	}
	if len(args) == 0 && len(seen) == 0 {
		return d.Err("journal takes one argument")
	}
	return nil
}

func (c *JournalConfig) readSync(d *caddyfile.Dispenser, args []string) error {
	switch {
	case len(args) == 1 && (args[0] == "interval" || args[0] == "always" || args[0] == "none"):
	case len(args) == 2 && args[0] == "interval":
		every, ok := positiveDuration(args[1])
		if !ok {
			return d.Errf("sync: %q is not a duration, as in 100ms", args[1])
		}
		c.SyncInterval = every
	default:
		return d.Err("sync is one of: interval [<duration>], always, none")
	}
	c.Sync = journal.SyncMode(args[0])
	return nil
}

func sizeOption(name string, value *int64) func(*caddyfile.Dispenser, []string) error {
	return func(d *caddyfile.Dispenser, args []string) error {
		text := strings.Join(args, " ")
		n, err := humanize.ParseBytes(text)
		if err != nil || n < minJournalSize || n > maxJournalSize {
			return d.Errf("%s: %q is not a size from 64KiB to 1PiB, as in 1GiB", name, text)
		}
		*value = int64(n)
		return nil
	}
}

func (c *JournalConfig) readOnFull(d *caddyfile.Dispenser, args []string) error {
	if len(args) != 1 || args[0] != "drop" && args[0] != "refuse" {
		return d.Err("on_full is one of: drop, refuse")
	}
	c.OnFull = journal.FullMode(args[0])
	return nil
}

func (c *JournalConfig) readMaxHeld(d *caddyfile.Dispenser, args []string) (err error) {
	if len(args) == 1 {
		c.MaxHeld, err = strconv.Atoi(args[0])
	}
	if len(args) != 1 || err != nil || c.MaxHeld <= 0 {
		return d.Err("max_held takes a number of calls, as in 100000")
	}
	return nil
}

func (c *JournalConfig) readBatch(d *caddyfile.Dispenser, args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return d.Err("batch takes a number of events and perhaps a delay, as in 10000 1s")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > maxBatchEvents {
		return d.Errf("batch: %q is not a number of events from 1 to %d", args[0], maxBatchEvents)
	}
	c.BatchEvents = n
	if len(args) == 2 {
		delay, ok := positiveDuration(args[1])
		if !ok {
			return d.Errf("batch: %q is not a duration, as in 1s", args[1])
		}
		c.BatchDelay = delay
	}
	return nil
}

func positiveDuration(s string) (caddy.Duration, bool) {
	n, err := caddy.ParseDuration(s)
	return caddy.Duration(n), err == nil && n > 0
}
