package mcp

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestIDKey(t *testing.T) {
	// Ids of one group are the same; of two groups, they differ.
	groups := [][]string{
		{`1`, `1.0`, `1e0`, `10e-1`, `0.1E+1`},
		{`"1"`, `"\u0031"`},
		{`"1.0"`},
		{`0`, `-0`, `0.0`, `0e9`},
		{`-1`, `-1.00`},
		{`1.5`, `15e-1`},
		{`9007199254740991`},
		{`9007199254740992`, `9007199254740993`}, // 2^53: the same double
		{`-9007199254740992`, `-9007199254740993`},
		{`1e21`, `1000000000000000000000`},
		{`""`},
		{`"n1"`}, // the key of 1 as a string
		{`"s1"`},
		{`"é"`, `"\u00e9"`, `"\u00E9"`},
		{`"e\u0301"`}, // no normalisation
		{`"😀"`, `"\ud83d\ude00"`},
		{`"a/b"`, `"a\/b"`},
	}
	for i, group := range groups {
		for _, a := range group {
			if IDKey([]byte(a)) == "" {
				t.Errorf("%s has no key", a)
			}
			for j, other := range groups {
				for _, b := range other {
					if got := IDKey([]byte(a)) == IDKey([]byte(b)); got != (i == j) {
						t.Errorf("keys of %s and %s equal: %v", a, b, got)
					}
				}
			}
		}
	}
}

func TestIDKeyOfNoID(t *testing.T) {
	for _, raw := range []string{``, `null`, `true`, `{}`, `[]`, `[1]`, `1e999`, `-1e999`, `0x10`, `-inf`, `-`, `NaN`, `1_0`,
		`"`, `"a`, `a"`, `"\ud800"`, `"\udc00\ud800"`, `"\u12"`, `"\`, `"\"`, `"\x"`} {
		if key := IDKey([]byte(raw)); key != "" {
			t.Errorf("IDKey(%s) = %q", raw, key)
		}
		if SameID([]byte(raw), []byte(raw)) {
			t.Errorf("%s is the same id as itself, and none", raw)
		}
	}
}

// What an upstream sends back for an id after decoding and encoding it has the
// key of the id.
func TestIDKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(
			rapid.String().AsAny(),
			rapid.Int64().AsAny(),
			rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }).AsAny(),
		).Draw(t, "id")
		sent, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		var held any
		if err := json.Unmarshal(sent, &held); err != nil {
			t.Fatal(err)
		}
		answered, err := json.Marshal(held)
		if err != nil {
			t.Fatal(err)
		}
		if key := IDKey(sent); key == "" || key != IDKey(answered) {
			t.Errorf("%s came back as %s", sent, answered)
		}
	})
}
