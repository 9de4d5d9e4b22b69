// Package freeport allocates ports for servers of tests and benchmarks that must
// know their port before they listen.
package freeport

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Blocks are below the ephemeral ports (Linux from 32768, macOS from 49152; RFC
// 6335 section 6), so that no outgoing connection takes a port before its server
// listens, or while the server restarts.
const (
	first     = 10000
	blockSize = 64
	blocks    = (32768 - first) / blockSize
)

// block is the block of this process: its next port and how many are left. The
// process listens on the block's first port as long as it lives, which reserves the
// block.
var block struct {
	sync.Mutex
	next, left int
	held       []net.Listener
}

// Next returns a TCP port that nothing listens on. While this process lives, the
// port is not returned again, neither here nor in another process.
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

// takeBlock reserves a block that no process has.
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
