package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// service is a running process, which is measured together with its children.
type service struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// The gateways run on the first core; the load and the upstream run on the
// others, where there are others.
var gatewayCores, loadCores = cores()

func cores() (gateway, load unix.CPUSet) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || all.Count() < 2 {
		return all, all
	}
	for i := 0; i < len(all)*64; i++ {
		switch {
		case !all.IsSet(i):
		case gateway.Count() == 0:
			gateway.Set(i)
		default:
			load.Set(i)
		}
	}
	return gateway, load
}

// startService starts a command on the gateways' core, in dir. Its output goes
// to dir/log.
func startService(dir string, env []string, command string, args ...string) (*service, error) {
	return startOn(gatewayCores, dir, env, command, args...)
}

func startOn(set unix.CPUSet, dir string, env []string, command string, args ...string) (*service, error) {
	log := filepath.Join(dir, "log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	// A process group of its own, so that it can be stopped with its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s := &service{cmd: cmd, log: log, exited: make(chan struct{})}

	// A process inherits the cores of the thread that starts it. The thread
	// lives as long as this process: Pdeathsig asks for that.
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			started <- err
			return
		}
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // its log says how it ended
			close(s.exited)
		}
	}()
	return s, <-started
}

// await waits until something listens on the port.
func (s *service) await(port int) error {
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			return c.Close()
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%s ended, its log ends with:\n%s", filepath.Base(s.cmd.Path), s.tail())
		default:
		}
	}
	return fmt.Errorf("%s does not listen on port %d, its log ends with:\n%s", filepath.Base(s.cmd.Path), port, s.tail())
}

// tail returns the end of the log.
func (s *service) tail() string {
	text, _ := os.ReadFile(s.log)
	return string(text[max(0, len(text)-2000):])
}

// signal sends a signal to the process and its children.
func (s *service) signal(sig syscall.Signal) { _ = syscall.Kill(-s.cmd.Process.Pid, sig) }

// pause stops the service until resume.
func (s *service) pause()  { s.signal(syscall.SIGSTOP) }
func (s *service) resume() { s.signal(syscall.SIGCONT) }

// end asks the service to end, and kills it if it does not within five seconds.
func (s *service) end() {
	s.resume()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(5 * time.Second):
	}
	s.signal(syscall.SIGKILL)
	<-s.exited
}

// pids returns the processes of the service: its process group.
func (s *service) pids() []int {
	group := s.cmd.Process.Pid
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	var pids []int
	for _, path := range dirs {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (command) state ppid pgrp …: proc(5)
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if pgrp, _ := strconv.Atoi(string(fields[2])); pgrp == group {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// cpu returns the processor time that the processes' threads have used.
func cpu(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, path := range tasks {
			text, _ := os.ReadFile(path)
			ns, _, _ := strings.Cut(string(text), " ")
			n, _ := strconv.ParseInt(ns, 10, 64)
			sum += time.Duration(n)
		}
	}
	return sum
}

// memory returns the anonymous memory of the processes in bytes. Pages of their
// programs' files are not counted: the kernel shares and drops them at will.
func memory(pids []int) (sum int64) {
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for _, field := range []string{"RssAnon:", "RssShmem:"} {
			_, rest, _ := strings.Cut(string(text), field)
			if fields := strings.Fields(rest); len(fields) > 0 {
				kib, _ := strconv.ParseInt(fields[0], 10, 64)
				sum += kib << 10
			}
		}
	}
	return sum
}

// pinSelf keeps this program, which makes the load, to the load's cores.
func pinSelf() error {
	tasks, err := filepath.Glob("/proc/self/task/*")
	for _, path := range tasks {
		tid, _ := strconv.Atoi(filepath.Base(path))
		err = errors.Join(err, unix.SchedSetaffinity(tid, &loadCores))
	}
	runtime.GOMAXPROCS(loadCores.Count())
	return err
}
