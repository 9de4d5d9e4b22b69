package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// description is openapi.json as the tests read it.
type description struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Parameters map[string]parameter `json:"parameters"`
		Responses  map[string]response  `json:"responses"`
		Schemas    map[string]any       `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Security    *[]any      `json:"security"`
	Parameters  []parameter `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			} `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]response `json:"responses"`
}

type response struct {
	Ref         string         `json:"$ref"`
	Description string         `json:"description"`
	Content     map[string]any `json:"content"`
}

type parameter struct {
	Ref         string         `json:"$ref"`
	Name        string         `json:"name"`
	In          string         `json:"in"`
	Description string         `json:"description"`
	Schema      map[string]any `json:"schema"`
}

var described = sync.OnceValue(func() (d description) {
	if err := json.Unmarshal(openAPI, &d); err != nil {
		panic(err)
	}
	return d
})

// schemaAt compiles the schema that stands at a JSON pointer in openapi.json.
func schemaAt(t testing.TB, pointer string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("openapi.json#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkDescribed checks one reply against openapi.json.
func checkDescribed(t testing.TB, method, path string, got answer) {
	t.Helper()
	var pointer string
	operations, knownPath := described().Paths[path]
	op, knownMethod := operations[strings.ToLower(method)]
	status := strconv.Itoa(got.status)
	r := response{}
	switch {
	case !knownPath:
		pointer = "/components/responses/NotFound"
	case !knownMethod || method != strings.ToUpper(method):
		pointer = "/components/responses/MethodNotAllowed"
	default:
		var known bool
		r, known = op.Responses[status]
		switch {
		case !known:
			t.Errorf("%s %s answered %s, which openapi.json does not describe", method, path, status)
			return
		case r.Ref != "":
			pointer = strings.TrimPrefix(r.Ref, "#")
		default:
			pointer = "/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/" + status
		}
	}
	if name, shared := strings.CutPrefix(pointer, "/components/responses/"); shared {
		r = described().Components.Responses[name]
	}
	if len(r.Content) == 0 {
		if len(got.body) > 0 || got.header.Get("Content-Type") != "" {
			t.Errorf("%s %s answered %s with %q of type %q, and should with nothing", method, path, status, got.body, got.header.Get("Content-Type"))
		}
		return
	}
	mediaType, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if _, known := r.Content[mediaType]; !known || err != nil {
		t.Errorf("%s %s answered %s with the type %q, which openapi.json does not describe", method, path, status, got.header.Get("Content-Type"))
		return
	}
	values := [][]byte{got.body}
	switch mediaType {
	case "text/csv":
		return
	case "application/x-ndjson":
		values = slices.Collect(bytes.Lines(got.body))
	}
	schema := schemaAt(t, pointer+"/content/"+escape(mediaType)+"/schema")
	for _, text := range values {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Errorf("%s %s answered %s with %q: %v", method, path, status, text, err)
			return
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s %s answered %s with %s: %v", method, path, status, text, err)
		}
	}
	var refusal struct{ Error struct{ Code string } }
	if got.status < 400 || json.Unmarshal(got.body, &refusal) != nil || refusal.Error.Code == "" {
		return // no error, as the schema has checked, or the schema was for something else, or found it wrong
	}
	if !strings.Contains(r.Description, "`"+refusal.Error.Code+"`") {
		t.Errorf("%s %s: openapi.json does not mention the code %q in %q", method, path, refusal.Error.Code, r.Description)
	}
}

func escape(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1")
}

// TestDescription checks the routes against openapi.json: their input, and whether
// they are public.
func TestDescription(t *testing.T) {
	type shape struct {
		Public, Once bool
		Query, Body  []string
	}
	running, documented := map[string]shape{}, map[string]shape{}
	for _, r := range (&API{}).endpoints() {
		running[r.method+" "+r.path] = shape{r.access == forAnyone, r.once, slices.Sorted(slices.Values(r.query)), slices.Sorted(slices.Values(r.body))}
	}
	d := described()
	for path, operations := range d.Paths {
		for method, op := range operations {
			s := shape{Public: op.Security != nil && len(*op.Security) == 0}
			for _, p := range op.Parameters {
				if name, shared := strings.CutPrefix(p.Ref, "#/components/parameters/"); shared {
					p = d.Components.Parameters[name]
				}
				if p.Name == idempotencyHeader && p.In == "header" {
					s.Once = true
					continue
				}
				if p.In != "query" || p.Description == "" || p.Schema == nil {
					t.Errorf("%s %s: parameter %q lacks its place, description or schema", method, path, p.Name)
				}
				s.Query = append(s.Query, p.Name)
			}
			slices.Sort(s.Query)
			if op.RequestBody != nil {
				name := strings.TrimPrefix(op.RequestBody.Content["application/json"].Schema.Ref, "#/components/schemas/")
				schema := d.Components.Schemas[name].(map[string]any)
				s.Body = slices.Sorted(maps.Keys(schema["properties"].(map[string]any)))
			}
			documented[strings.ToUpper(method)+" "+path] = s
		}
	}
	if diff := cmp.Diff(running, documented); diff != "" {
		t.Errorf("routes (-) and openapi.json (+) differ:\n%s", diff)
	}
	if d.OpenAPI != "3.1.0" {
		t.Errorf("openapi is %q", d.OpenAPI)
	}
}

// TestEveryFieldIsDescribed: each property has a description and a type, each
// object is closed, each reference resolves.
func TestEveryFieldIsDescribed(t *testing.T) {
	for name, schema := range described().Components.Schemas {
		schemaAt(t, "/components/schemas/"+name) // compiles it, references included
		checkSchema(t, name, schema.(map[string]any))
	}
}

func checkSchema(t *testing.T, where string, schema map[string]any) {
	t.Helper()
	if _, reference := schema["$ref"]; reference {
		return // described where it leads
	}
	if schema["description"] == nil {
		t.Errorf("%s has no description", where)
	}
	if schema["type"] == nil && schema["enum"] == nil && schema["const"] == nil {
		t.Errorf("%s has no type", where)
	}
	properties, isObject := schema["properties"].(map[string]any)
	if isObject && schema["additionalProperties"] != false {
		t.Errorf("%s lets undocumented fields through", where)
	}
	for name, property := range properties {
		checkSchema(t, where+"."+name, property.(map[string]any))
	}
}

// TestLimitsAreDescribed: the numbers in openapi.json are those of the code.
func TestLimitsAreDescribed(t *testing.T) {
	d := described()
	newKey := d.Components.Schemas["NewKey"].(map[string]any)["properties"].(map[string]any)
	schemas := map[string]map[string]any{"expires_days": newKey["expires_days"].(map[string]any)}
	for _, path := range []string{"/api/mcp-usage/history", "/api/mcp-usage/stats"} {
		for _, p := range d.Paths[path]["get"].Parameters {
			schemas[p.Name] = p.Schema
		}
	}
	for name, want := range map[string][3]any{
		"page":         {1., float64(maxPage), 1.},
		"page_size":    {1., float64(maxPageSize), float64(defaultPageSize)},
		"days":         {1., float64(maxDays), float64(defaultDays)},
		"limit":        {1., float64(maxGroups), float64(defaultGroups)},
		"expires_days": {1., float64(maxExpiresDays), nil},
	} {
		s := schemas[name]
		if diff := cmp.Diff(want, [3]any{s["minimum"], s["maximum"], s["default"]}); diff != "" {
			t.Errorf("limits of %s differ:\n%s", name, diff)
		}
	}
	var outcomes []any
	for _, o := range usage.Outcomes {
		outcomes = append(outcomes, string(o))
	}
	if diff := cmp.Diff(outcomes, d.Components.Schemas["Outcome"].(map[string]any)["enum"]); diff != "" {
		t.Errorf("outcomes differ:\n%s", diff)
	}
}

func TestDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	got := w.do(t, "GET", "/openapi.json", nil, "")
	var served, want any
	if err := json.Unmarshal(got.body, &served); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(openAPI, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, served); got.status != 200 || diff != "" {
		t.Errorf("status %d, document differs:\n%s", got.status, diff)
	}
}

// TestEveryColumnIsDescribed: each column of an event is in the schema Event, and
// the schema takes an event of any column.
func TestEveryColumnIsDescribed(t *testing.T) {
	event := described().Components.Schemas["Event"].(map[string]any)
	names := slices.Sorted(slices.Values(usage.ColumnNames(usage.Columns)))
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(event["properties"].(map[string]any)))); diff != "" {
		t.Errorf("columns (-) and properties (+) differ:\n%s", diff)
	}
	schema := schemaAt(t, "/components/schemas/Event")
	for _, e := range usagetest.EventPerColumn() {
		e.Outcome = usage.OK
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
