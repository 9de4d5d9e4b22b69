package e2e

import (
	"os/exec"
	"regexp"
	"testing"
)

// TestVersion checks that `tallygate version` says Tallygate's own version
// first, then Caddy's.
func TestVersion(t *testing.T) {
	out, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !regexp.MustCompile(`^Tallygate \S+, Caddy v2\.\d+\.\d+`).Match(out) {
		t.Errorf("tallygate version printed %q (%v)", out, err)
	}
}
