package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// What the Caddyfile's options cannot be, JSON is refused for too.
func TestJournalConfigRefuses(t *testing.T) {
	good := JournalConfig{Folder: "a", Sync: "always", SyncInterval: 1, MaxSize: minJournalSize, SegmentSize: minJournalSize, OnFull: "refuse", MaxHeld: 1, BatchEvents: 1, BatchDelay: 1}
	if err := good.complete(); err != nil {
		t.Errorf("%+v: %v", good, err)
	}
	for want, change := range map[string]func(*JournalConfig){
		`"sometimes"`:     func(c *JournalConfig) { c.Sync = "sometimes" },
		`"stop"`:          func(c *JournalConfig) { c.OnFull = "stop" },
		"max_size: 1000":  func(c *JournalConfig) { c.MaxSize = 1000 },
		"segment_size: 1": func(c *JournalConfig) { c.SegmentSize = 1 },
		"negative":        func(c *JournalConfig) { c.SyncInterval = -1 },
		"a batch is":      func(c *JournalConfig) { c.BatchEvents = maxBatchEvents + 1 },
		"waits":           func(c *JournalConfig) { c.BatchDelay = caddy.Duration(-1) },
		"number":          func(c *JournalConfig) { c.MaxHeld = -1 },
	} {
		c := good
		change(&c)
		if err := c.complete(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "journal: ") {
			t.Errorf("%+v: error %v, want one about %s", c, err, want)
		}
	}
}
