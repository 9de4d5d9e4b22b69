// Package freeport gives out ports for servers that must be told theirs before
// they listen, as tests and benchmarks start them.
package freeport

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Blocks lie below the ports that systems give to whoever asks for any (Linux
// from 32768 on, macOS from 49152; RFC 6335 section 6), so that no connection
// that goes out takes a port before its server listens, or while it restarts.
const (
	first     = 10000
	blockSize = 64
	blocks    = (32768 - first) / blockSize
)

// block is what this process gives out: its next port and how many are left.
// Its first port is listened on as long as the process lives, which keeps other
// processes out of the block.
var block struct {
	sync.Mutex
	next, left int
	held       []net.Listener
}

// Next is a TCP port that nothing listens on, and that neither this process nor
// another that asks this package is given again while this one lives.
func Next() (int, error) {
	block.Lock()
	defer block.Unlock()
	for {
		if block.left == 0 {
			if err := takeBlock(); err != nil {
				return 0, err
			}
		}
		port := block.next
		block.next, block.left = port+1, block.left-1
		// On all addresses, since servers may listen on any.
		if l, err := net.Listen("tcp", address("", port)); err == nil {
			return port, l.Close()
		}
	}
}

// takeBlock takes a block that no process has.
func takeBlock() error {
	var errs []error
	for i := range blocks {
		port := first + i*blockSize
		l, err := net.Listen("tcp", address("127.0.0.1", port))
		if err == nil {
			block.held = append(block.held, l)
			block.next, block.left = port+1, blockSize-1
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("no block of %d ports from %d to %d is free: %w", blockSize, first, first+blocks*blockSize-1, errors.Join(errs...))
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
