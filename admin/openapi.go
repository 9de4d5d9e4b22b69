package admin

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
)

// openAPIParts are the OpenAPI document, a file a subject.
//
//go:embed openapi/*.json
var openAPIParts embed.FS

// openAPI is the whole document.
var openAPI = func() []byte {
	whole, err := joinOpenAPI(openAPIParts)
	if err != nil {
		panic(err) // the files are part of the program, and tested
	}
	return whole
}()

// document answers with the description of this API.
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

// join puts what is in an object into another, and into what lies in that.
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
