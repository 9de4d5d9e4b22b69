// Package counter counts what an upstream of the tests runs, and serves the counts.
package counter

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

// Label is the header that identifies a request of a test.
const Label = "X-Case"

// Run is something that an upstream did for one request.
type Run struct {
	Upstream string `json:"upstream"`
	Label    string `json:"label"`
	What     string `json:"what"` // a JSON-RPC method that was dispatched, "run TOOL", or an HTTP method other than POST
}

// Counter has what all upstreams of a program ran.
type Counter struct {
	mu   sync.Mutex
	runs []Run
}

// Note counts one run for the request with the header h.
func (c *Counter) Note(upstream string, h http.Header, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs = append(c.runs, Run{upstream, h.Get(Label), what})
}

// Serve serves each upstream at /messages of a port of its own, and the runs
// so far on one more, which no upstream leads to. Standard output tells where:
//
//	{"admin":"127.0.0.1:1","upstreams":{"NAME":"127.0.0.1:2"}}
//
// The program ends with its standard input.
func (c *Counter) Serve(upstreams map[string]http.Handler) error {
	where := struct {
		Admin     string            `json:"admin"`
		Upstreams map[string]string `json:"upstreams"`
	}{Upstreams: map[string]string{}}
	failed := make(chan error, 1)
	serve := func(h http.Handler) (string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		go func() { failed <- http.Serve(l, h) }()
		return l.Addr().String(), nil
	}
	var err error
	if where.Admin, err = serve(http.HandlerFunc(c.tell)); err != nil {
		return err
	}
	for name, h := range upstreams {
		mux := http.NewServeMux()
		mux.HandleFunc("/messages", func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				c.Note(name, r.Header, r.Method)
			}
			h.ServeHTTP(w, r)
		})
		if where.Upstreams[name], err = serve(mux); err != nil {
			return err
		}
	}
	line, err := json.Marshal(where)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	return <-failed
}

// tell replies with the runs so far.
func (c *Counter) tell(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c.runs) // the test that asked has gone
}
