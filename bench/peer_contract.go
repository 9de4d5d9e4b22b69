// Command bench measures gateways in front of one upstream.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// deployment is what a gateway is started with.
type deployment struct {
	dir      string // an empty folder of its own
	port     int    // to listen on, on 127.0.0.1
	upstream string // HOST:PORT of the MCP server, which answers at /mcp
	key      string // the API key that callers show as "Authorization: Bearer KEY"
	cache    string // a folder for what is built or installed once, kept between runs
}

// service is a running process, which is measured together with its children.
type service struct{ cmd *exec.Cmd }

// startService starts a command in the folder, with more environment than our
// own. What it says goes to dir/log.
func startService(dir string, env []string, command string, args ...string) (*service, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd := exec.Command(command, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &service{cmd}, nil
}

// stop ends the process and its children.
func (s *service) stop() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	_ = s.cmd.Wait()                                      // it was killed
}

// gateway is one that is measured.
type gateway struct {
	name    string                   // as the tables show it, with its version, as in "nginx 1.22.1, key map"
	mcp     bool                     // it is an MCP gateway: it knows what it passes
	path    string                   // where it answers, as in "/mcp"
	session bool                     // it wants an initialize first, and its Mcp-Session-Id on each call
	stdio   bool                     // it runs the upstream itself, as a program that speaks MCP over stdio
	prepare func(cache string) error // builds or installs it; nil: nothing to do
	start   func(d deployment) (*service, error)
	note    string // what a reader must know of the comparison
}

func main() {
	for _, g := range peers() {
		fmt.Printf("%s: %s\n", g.name, g.note)
	}
	for _, g := range notMeasured {
		fmt.Printf("not measured: %s: %s\n", g.name, g.why)
	}
}
