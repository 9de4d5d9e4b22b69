package caddymodule

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestNewlineBehindSecret: the newline with which a mounted secret ends is not a part
// of it.
func TestNewlineBehindSecret(t *testing.T) {
	t.Setenv("TALLYGATE_STORE", "postgres://gate:sesame@db/tallygate\r\n")
	t.Setenv("TALLYGATE_LEDGER", "sqlite:usage.db\n")
	t.Setenv("TALLYGATE_JOURNAL", "journal\n")
	t.Setenv("TALLYGATE_ADMIN_PASSWORD", "a long one\n")
	got, err := settings(nil)
	if err != nil || got.Store != "postgres://gate:sesame@db/tallygate" || got.Ledger != "sqlite:usage.db" || got.Journal != "journal" {
		t.Errorf("the settings are %+v, %v", got, err)
	}
	if got := environment("TALLYGATE_ADMIN_PASSWORD"); got != "a long one" {
		t.Errorf("the password is %q", got)
	}
}

// TestPlaceholders: a DSN may come from the environment of the process, or from a
// file, as with secrets that are mounted; the config has the placeholder only.
func TestPlaceholders(t *testing.T) {
	file := t.TempDir() + "/ledger"
	if err := os.WriteFile(file, []byte("clickhouse://gate:sesame@ch:9000/usage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATE_STORE", "postgres://gate:sesame@db/tallygate")
	t.Setenv("GATE_PASSWORD", "sesame")
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(`{
	tallygate {
		store {env.GATE_STORE}
		ledger {file.`+file+`}
		journal /var/lib/{env.GATE_PASSWORD}
	}
}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Apps struct{ Tallygate App }
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	if app := &parsed.Apps.Tallygate; app.Store != "{env.GATE_STORE}" || app.Ledger != "{file."+file+"}" {
		t.Errorf("the config is %s", config)
	}
	got, err := settings(config)
	if err != nil || got.Store != "postgres://gate:sesame@db/tallygate" || got.Ledger != "clickhouse://gate:sesame@ch:9000/usage" || got.Journal != "/var/lib/sesame" {
		t.Errorf("the settings are %+v, %v", got, err)
	}
}
