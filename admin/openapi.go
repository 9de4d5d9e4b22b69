package admin

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
)

// openAPIParts is the OpenAPI document in parts, one file for each subject.
//
//go:embed openapi/*.json
var openAPIParts embed.FS

// openAPI is the complete document.
var openAPI = func() []byte {
	whole, err := joinOpenAPI(openAPIParts)
	if err != nil {
		panic(err) // the files are embedded and tested
	}
	return whole
}()

// document replies with the description of this API.
func document(context.Context, request) (int, any, error) {
	return http.StatusOK, json.RawMessage(openAPI), nil
}

func joinOpenAPI(parts fs.FS) ([]byte, error) {
	files, err := fs.Glob(parts, "openapi/*.json")
	if err != nil {
		return nil, err
	}
	whole := map[string]any{}
	for _, name := range files {
		text, err := fs.ReadFile(parts, name)
		if err != nil {
			return nil, err
		}
		var part map[string]any
		if err := json.Unmarshal(text, &part); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		join(whole, part)
	}
	return json.Marshal(whole)
}

// join merges an object into another, recursively.
func join(into, from map[string]any) {
	for name, value := range from {
		inner, isObject := value.(map[string]any)
		outer, both := into[name].(map[string]any)
		if isObject && both {
			join(outer, inner)
		} else {
			into[name] = value
		}
	}
}
