package mcptest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCorpus holds that the corpus can be told apart and cited.
func TestCorpus(t *testing.T) {
	c := NewCorpus()
	seen := map[string]bool{}
	bodies := map[string]string{}
	for _, a := range c.Attacks {
		id := a.Section + ": " + a.Name
		if seen[id] {
			t.Errorf("%q is there twice", id)
		}
		seen[id] = true
		content := fmt.Sprintf("%s %s %q %q %d %q", a.Verb, a.Target, a.Headers, a.Body, a.How, a.Raw)
		if same := bodies[content]; same != "" {
			t.Errorf("%q is the same request as %q", id, same)
		}
		bodies[content] = id
	}
	if !cmp.Equal(NewCorpus(), c, cmp.Comparer(bytes.Equal)) {
		t.Error("the corpus is another one each time")
	}
	for _, s := range c.Sections {
		n := 0
		for _, a := range c.Attacks {
			if a.Section == s.Name {
				n++
			}
		}
		if n == 0 || s.Why == "" {
			t.Errorf("section %q has %d attacks and the reason %q", s.Name, n, s.Why)
		}
		t.Logf("%4d %s: %s", n, s.Name, s.Why)
	}
	t.Logf("%4d attacks", len(c.Attacks))
}
