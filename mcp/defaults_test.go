package mcp

import "testing"

func TestDefaultRule(t *testing.T) {
	if _, err := newExtractor(DefaultRule); err != nil {
		t.Fatal(err)
	}
}
