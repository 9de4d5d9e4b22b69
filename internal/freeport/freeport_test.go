package freeport

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// askedFor is an environment variable with which the test's binary prints that many
// ports instead of testing.
const askedFor = "FREEPORT_TEST_PRINT"

func TestMain(m *testing.M) {
	if os.Getenv(askedFor) == "" {
		os.Exit(m.Run())
	}
	for range 3 * blockSize {
		port, err := Next()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(port)
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // keeps the ports until the test closes standard input
}

// TestNext: four processes that run in parallel never get the same port, nor one
// that is in use.
func TestNext(t *testing.T) {
	port, err := Next()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", address("127.0.0.1", port+1))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	given := map[string]bool{strconv.Itoa(port): true, strconv.Itoa(port + 1): true}
	note := func(port string) {
		if given[port] {
			t.Errorf("port %s was given although it was taken", port)
		}
		given[port] = true
	}

	var processes [3]*bufio.Scanner
	for i := range processes {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), askedFor+"=1")
		stdin, inErr := c.StdinPipe()
		stdout, outErr := c.StdoutPipe()
		if err := errors.Join(inErr, outErr, c.Start()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(stdin.Close(), c.Wait()); err != nil {
				t.Error(err)
			}
		}()
		processes[i] = bufio.NewScanner(stdout)
	}
	for range 3 * blockSize {
		port, err := Next()
		if err != nil {
			t.Fatal(err)
		}
		note(strconv.Itoa(port))
		for _, p := range processes {
			if !p.Scan() {
				t.Fatal("a process ended early")
			}
			note(p.Text())
		}
	}
}
