package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// LoadConfig reads and adapts a config as Caddy's commands do, but says nothing
// while it succeeds. The file "" is a Caddyfile in this folder; the config is nil if
// there is none. "-" is standard input.
func LoadConfig(file, adapter string) ([]byte, error) {
	var text []byte
	var err error
	switch file {
	case "":
		if adapter != "" {
			return nil, errors.New("--adapter is given without --config: name the file that it adapts")
		}
		file = "Caddyfile"
		if text, err = os.ReadFile(file); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	case "-":
		text, err = io.ReadAll(os.Stdin)
	default:
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	if base := strings.ToLower(filepath.Base(file)); adapter == "" && filepath.Ext(base) != ".json" &&
		(strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile")) {
		adapter = "caddyfile"
	}
	if adapter == "" {
		if !json.Valid(text) {
			return nil, fmt.Errorf("the config %s is not JSON: name its format with --adapter, as in --adapter caddyfile", file)
		}
		return text, nil
	}
	a := caddyconfig.GetAdapter(adapter)
	if a == nil {
		return nil, fmt.Errorf("there is no config adapter %q", adapter)
	}
	config, _, err := a.Adapt(text, map[string]any{"filename": file})
	if err != nil {
		return nil, fmt.Errorf("adapting the config: %w", err)
	}
	return config, nil
}
