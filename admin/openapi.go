package admin

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// openAPIParts are the OpenAPI document, one file for each subject. The
// fields of an Event are added by describeEvent.
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
func document(context.Context, *request) (any, error) {
	return json.RawMessage(openAPI), nil
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
	describeEvent(whole)
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

// describeEvent adds the columns of an event to the schema Event.
func describeEvent(whole map[string]any) {
	columns := map[string]any{}
	for _, c := range usage.Columns {
		columns[c.Name] = columnSchema(c)
	}
	join(whole, map[string]any{"components": map[string]any{"schemas": map[string]any{"Event": map[string]any{
		"required": usage.ColumnNames(usage.Columns), "properties": columns,
	}}}})
}

// columnSchema returns the JSON schema of a column's values.
func columnSchema(c usage.Column) map[string]any {
	if c.Name == "outcome" {
		return map[string]any{"$ref": "#/components/schemas/Outcome"}
	}
	schema := map[string]any{"description": c.Doc}
	nullable := c.Nullable
	switch field := c.Field(new(usage.Event)).(type) {
	case *string:
		schema["type"] = "string"
	case *int64:
		schema["type"] = "integer"
	case *usage.NullInt64:
		schema["type"], nullable = "integer", true
	case *[]string:
		schema["type"], schema["items"] = "array", map[string]any{"type": "string"}
	case *uuid.UUID:
		schema["type"], schema["format"] = "string", "uuid"
	case *time.Time:
		schema["type"], schema["format"] = "string", "date-time"
	default:
		panic(fmt.Sprintf("column %s: no schema describes a %T", c.Name, field))
	}
	if nullable {
		schema["type"] = []any{schema["type"], "null"}
	}
	return schema
}
