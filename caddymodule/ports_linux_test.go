package caddymodule

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCheckPorts: a port on which another process listens is refused with its
// number, and one of this process is not, as at a reload.
func TestCheckPorts(t *testing.T) {
	if os.Getenv("TALLYGATE_TEST_LISTEN") != "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("port", l.Addr().(*net.TCPAddr).Port)
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the test closes standard input
		return
	}
	other := exec.Command(os.Args[0], "-test.run=^TestCheckPorts$")
	other.Env = append(os.Environ(), "TALLYGATE_TEST_LISTEN=1")
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stdin.Close()
		_ = other.Wait()
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.TrimSpace(strings.TrimPrefix(line, "port "))
	own, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()

	for address, taken := range map[string]bool{
		":" + theirs:                   true,
		"0.0.0.0:" + theirs:            true,
		"tcp/127.0.0.1:" + theirs:      true,
		"localhost:" + theirs:          true,
		"127.0.0.2:" + theirs:          false,
		"udp/:" + theirs:               false,
		"unix//tmp/" + theirs:          false,
		own.Addr().String():            false,
		":" + own.Addr().String()[10:]: false,
	} {
		err := checkPorts([]string{address}, tcpListeners())
		if (err != nil) != taken || err != nil && !strings.Contains(err.Error(), "port "+theirs) {
			t.Errorf("%s: %v, want an error: %t", address, err, taken)
		}
	}
}

// TestOverlap: addresses overlap where one of them is that of all, and where they
// are the same.
func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		host, ip string
		want     bool
	}{
		{"", "::", true},
		{"", "127.0.0.1", true},
		{"127.0.0.1", "::", true},
		{"::1", "::1", true},
		{"127.0.0.1", "::1", false},
		{"10.0.0.1", "10.0.0.2", false},
	} {
		if got := overlap(test.host, netip.MustParseAddr(test.ip)); got != test.want {
			t.Errorf("overlap(%q, %s) = %t", test.host, test.ip, got)
		}
	}
}
