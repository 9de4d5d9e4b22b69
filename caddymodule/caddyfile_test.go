package caddymodule

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/google/go-cmp/cmp"
)

// TestCaddyfile runs testdata/*.caddyfiletest: a Caddyfile, a line of dashes,
// and the JSON it adapts to or the error it is refused with.
func TestCaddyfile(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) < 5 {
		t.Fatalf("there are %d test files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config, want, ok := strings.Cut(string(text), "\n----------\n")
			if !ok {
				t.Fatal("there is no line of ten dashes")
			}
			want = strings.TrimSpace(want)
			got, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Testfile"})
			if err != nil {
				if diff := cmp.Diff(want, err.Error()); diff != "" {
					t.Errorf("the error differs (-want +got):\n%s", diff)
				}
				return
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, got, "", "\t"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, strings.TrimSpace(indented.String())); diff != "" {
				t.Errorf("the JSON differs (-want +got):\n%s", diff)
			}
		})
	}
}
