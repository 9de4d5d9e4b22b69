package usage_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// Each field of an event is the field of exactly one stored column, and each
// column has a name of its own and a description.
func TestColumnsAreFields(t *testing.T) {
	var e usage.Event
	columns := map[uintptr][]string{} // by the address of their field
	names := map[string]bool{}
	for _, c := range usage.Columns {
		if c.Name == "" || names[c.Name] || !strings.HasSuffix(c.Doc, ".") {
			t.Errorf("column %q: its name is not its own, or its description %q is no sentence", c.Name, c.Doc)
		}
		names[c.Name] = true
		if !c.Derived {
			at := reflect.ValueOf(c.Field(&e)).Pointer()
			columns[at] = append(columns[at], c.Name)
		}
	}
	fields := reflect.ValueOf(&e).Elem()
	for i := range fields.NumField() {
		at := fields.Field(i).Addr().Pointer()
		if len(columns[at]) != 1 {
			t.Errorf("the field %s has the columns %v, want one", fields.Type().Field(i).Name, columns[at])
		}
		delete(columns, at)
	}
	for _, names := range columns {
		t.Errorf("the columns %v are no fields of an event", names)
	}
}

// Each column is in an event's JSON, in order, and is read back from there.
func TestEveryColumnInJSON(t *testing.T) {
	for _, want := range usagetest.EventPerColumn() {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got usage.Event
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		places := make([]int, len(usage.Columns))
		for i, c := range usage.Columns {
			if places[i] = strings.Index(string(text), `"`+c.Name+`":`); places[i] < 0 {
				t.Errorf("%s is not in %s", c.Name, text)
			}
		}
		if !slices.IsSorted(places) {
			t.Errorf("the columns are not in order in %s", text)
		}
	}
}

// Unknown values are null in JSON, and an empty list of tables is not unknown.
func TestUnknownInJSON(t *testing.T) {
	text, err := json.Marshal(usage.Event{})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"event_id":"00000000-0000-0000-0000-000000000000","ts":"0001-01-01T00:00:00Z","server":"","user_id":"","user_email":"","key_id":"","key_name":"",` +
		`"tool_name":"","table_name":null,"tables":null,"record_count":null,"outcome":"","http_status":null,"rpc_code":null,"duration_us":0,` +
		`"request_bytes":0,"response_bytes":0,"session_id":null,"request_id":"","protocol_version":null,"client_name":null,"client_version":null,"remote_ip":""`
	// Columns that were added since the first release come after these.
	if diff := cmp.Diff(want, string(text[:min(len(text), len(want))])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text, err = json.Marshal(usage.Event{Tables: []string{}}); err != nil || !strings.Contains(string(text), `"table_name":null,"tables":[]`) {
		t.Errorf("%s, %v", text, err)
	}
}
