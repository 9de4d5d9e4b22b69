package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

// resolved returns a schema of openapi.json, or the one that it refers to.
func resolved(schema map[string]any) map[string]any {
	for {
		ref, is := schema["$ref"].(string)
		if !is {
			return schema
		}
		schema = described().Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	}
}

// types returns the JSON types that a schema allows.
func types(schema map[string]any) []string {
	switch t := schema["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var all []string
		for _, name := range t {
			all = append(all, name.(string))
		}
		return all
	default:
		return []string{"string"} // an enum
	}
}

// wrongValues returns JSON texts that a schema does not allow.
func wrongValues(schema map[string]any) []string {
	allowed := types(schema)
	var wrong []string
	for kind, values := range map[string][]string{
		"null": {"null"}, "boolean": {"true", "false"}, "string": {`"text"`, `"7"`}, "array": {"[]", "[7]", `["text"]`},
		"object": {"{}", `{"x":1}`}, "integer": {"7"}, "number": {"1.5", "1e400", "-0"},
	} {
		if !slices.Contains(allowed, kind) {
			wrong = append(wrong, values...)
		}
	}
	if slices.Contains(allowed, "array") {
		wrong = append(wrong, "[7]", "[null]", "[[]]")
	}
	if slices.Contains(allowed, "object") {
		wrong = append(wrong, `{"x":1}`)
	}
	if schema["enum"] != nil {
		wrong = append(wrong, `"nonsense"`)
	}
	if low, is := schema["minimum"].(float64); is {
		wrong = append(wrong, fmt.Sprintf("%.0f", low-1))
	}
	if high, is := schema["maximum"].(float64); is {
		wrong = append(wrong, fmt.Sprintf("%.0f", high+1), "9999999999999999999999")
	}
	if longest, is := schema["maxLength"].(float64); is {
		wrong = append(wrong, `"`+strings.Repeat("x", int(longest)+1)+`"`)
	}
	if most, is := schema["maxItems"].(float64); is {
		wrong = append(wrong, `["x"`+strings.Repeat(`,"x"`, int(most))+`]`)
	}
	if shortest, is := schema["minLength"].(float64); is {
		wrong = append(wrong, `"`+strings.Repeat("x", int(shortest)-1)+`"`)
	}
	return wrong
}

// goodTrial returns a valid request of an operation.
func goodTrial(tried map[int]trial) trial {
	for _, status := range []int{200, 201, 204} {
		if tr, there := tried[status]; there {
			return tr
		}
	}
	return trial{}
}

// TestBadBodies sends each body with values that openapi.json does not allow,
// without required fields, and with unknown fields. Each time the reply is a 400
// that names the field, and nothing is written.
func TestBadBodies(t *testing.T) {
	w := newWorld(t)
	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger, Registration: true})
	trials := w.trials(t)
	people := map[string]identity.User{"ana": w.ana, "ben": w.ben, "root": w.root}
	for path, operations := range described().Paths {
		op, isPost := operations["post"]
		if !isPost || op.RequestBody == nil {
			continue
		}
		good := goodTrial(trials["POST "+path])
		var body map[string]json.RawMessage
		if err := json.Unmarshal([]byte(good.body), &body); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		h := http.Header{}
		if good.as != "" {
			h = bearer(w.token(t, people[good.as]))
		}
		refuse := func(words string, change func(map[string]json.RawMessage)) {
			t.Helper()
			bad := maps.Clone(body)
			change(bad)
			encoded, err := json.Marshal(bad)
			if err != nil {
				t.Fatal(err)
			}
			got := w.do(t, "POST", path, h, string(encoded))
			if got.status != 400 {
				t.Errorf("%s answers %d to %.300s: %s", path, got.status, encoded, got.body)
				return
			}
			refused(t, got, 400, "invalid_request", words)
		}
		refuse(`unknown field "nonsense"`, func(b map[string]json.RawMessage) { b["nonsense"] = json.RawMessage("1") })
		schema := resolved(map[string]any{"$ref": op.RequestBody.Content["application/json"].Schema.Ref})
		required, _ := schema["required"].([]any)
		for _, name := range required {
			refuse(name.(string)+" is missing", func(b map[string]json.RawMessage) { delete(b, name.(string)) })
		}
		for name, property := range schema["properties"].(map[string]any) {
			wrong := wrongValues(resolved(property.(map[string]any)))
			if len(wrong) == 0 {
				t.Errorf("%s: %s can be anything", path, name)
			}
			if !slices.Contains(required, any(name)) && slices.Contains(wrong, "null") {
				t.Errorf("%s: %s may be left out, but not be null", path, name)
			}
			for _, value := range wrong {
				refuse(name, func(b map[string]json.RawMessage) {
					delete(b, map[string]string{"expires_days": "expires_at", "expires_at": "expires_days"}[name])
					b[name] = json.RawMessage(value)
				})
			}
		}
	}
}

// TestBadQueries does the same with the parameters of each query.
func TestBadQueries(t *testing.T) {
	w := newWorld(t)
	trials := w.trials(t)
	people := map[string]identity.User{"ana": w.ana, "ben": w.ben, "root": w.root}
	for path, operations := range described().Paths {
		op, isGet := operations["get"]
		if !isGet {
			continue
		}
		good := goodTrial(trials["GET "+path])
		query, err := url.ParseQuery(good.query)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		if good.as != "" {
			h = bearer(w.token(t, people[good.as]))
		}
		refuse := func(words string, change func(url.Values)) {
			t.Helper()
			bad := maps.Clone(query)
			change(bad)
			got := w.do(t, "GET", path+"?"+bad.Encode(), h, "")
			if got.status != 400 {
				t.Errorf("%s answers %d to %s", path, got.status, bad.Encode())
				return
			}
			refused(t, got, 400, "invalid_request", words)
		}
		refuse(`unknown query parameter "nonsense"`, func(v url.Values) { v.Set("nonsense", "1") })
		for _, p := range op.Parameters {
			if shared, is := strings.CutPrefix(p.Ref, "#/components/parameters/"); is {
				p = described().Components.Parameters[shared]
			}
			schema := resolved(p.Schema)
			wrong := []string{"", "\xff"}
			switch {
			case schema["enum"] != nil:
				wrong = append(wrong, "nonsense", "OK")
			case schema["type"] == "integer":
				wrong = append(wrong, "x", "0", "-1", "1.5", "+1", " 1", "0x1", strconv.FormatFloat(schema["maximum"].(float64)+1, 'f', 0, 64), "99999999999999999999")
			case schema["format"] == "uuid":
				wrong = append(wrong, "x", "{"+uuid.NewString()+"}", strings.ReplaceAll(uuid.NewString(), "-", ""))
			case schema["format"] == "date-time":
				wrong = append(wrong, "x", "2026-11-23", "1764000000", "2026-11-23T12:00:00", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z")
			case schema["pattern"] != nil:
				wrong = append(wrong, "x")
			}
			for _, value := range wrong {
				refuse(p.Name, func(v url.Values) {
					if p.Name == "cursor" {
						v.Del("page")
					}
					v.Set(p.Name, value)
				})
			}
			refuse(p.Name+" is given 2 times", func(v url.Values) { v[p.Name] = []string{"1", "1"} })
		}
	}
}
