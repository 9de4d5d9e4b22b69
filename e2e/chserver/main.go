// Command chserver is a ClickHouse server for tests. It runs `clickhouse local` with
// SYSTEM START LISTEN in a Go process that loads libchdb.so. That library comes from
// npm, so that no ClickHouse has to be installed.
//
//	chserver -lib libchdb.so -path DIR -ports FILE [-tcp PORT] [-http PORT] [-- ClickHouse arguments]
//
// It listens on 127.0.0.1 and then writes "TCPPORT\tHTTPPORT\n" to FILE; port 0
// stands for a free one. The data in DIR survives a crash. The server ends when its
// standard input does, so that it does not outlive the process that started it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
)

func main() {
	lib := flag.String("lib", "", "libchdb.so")
	path := flag.String("path", "", "folder of the data, absolute")
	ports := flag.String("ports", "", "file that receives the ports, absolute")
	tcp := flag.Int("tcp", 0, "port of the native protocol")
	http := flag.Int("http", 0, "port of HTTP")
	flag.Parse()

	// The session's last query reads a pipe without a writer, which keeps the server
	// running.
	idle, _, err := os.Pipe()
	if err != nil {
		fatal(err)
	}
	args := append([]string{
		"clickhouse",
		"--listen_host=127.0.0.1",
		fmt.Sprintf("--tcp_port=%d", *tcp),
		fmt.Sprintf("--http_port=%d", *http),
		"--path=" + *path,
	}, flag.Args()...)
	args = append(args, "--query="+strings.Join([]string{
		"SYSTEM START LISTEN TCP",
		"SYSTEM START LISTEN HTTP",
		fmt.Sprintf("INSERT INTO FUNCTION file('%s', TSV) SETTINGS engine_file_truncate_on_insert = 1 SELECT getServerPort('tcp_port'), getServerPort('http_port')", *ports),
		fmt.Sprintf("SELECT * FROM file('/dev/fd/%d', LineAsString, 'line String') FORMAT Null", idle.Fd()),
	}, "; "))

	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // a broken standard input has ended, too
		os.Exit(0)
	}()
	if err := clickhouse(*lib, args); err != nil {
		fatal(err)
	}
}

// clickhouse runs ClickHouse's own main in this process until it returns.
func clickhouse(lib string, args []string) error {
	handle, err := purego.Dlopen(lib, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return err
	}
	var (
		queryCmdline func(argc int32, argv **byte) (result uintptr)
		resultError  func(result uintptr) string
		pin          runtime.Pinner
	)
	purego.RegisterLibFunc(&queryCmdline, handle, "chdb_query_cmdline")
	purego.RegisterLibFunc(&resultError, handle, "chdb_result_error")

	defer pin.Unpin()
	argv := make([]*byte, len(args)+1) // C's argv ends with a null pointer
	for i, arg := range args {
		argv[i] = &append([]byte(arg), 0)[0]
		pin.Pin(argv[i])
	}
	if result := queryCmdline(int32(len(args)), &argv[0]); result != 0 {
		if msg := resultError(result); msg != "" {
			return fmt.Errorf("clickhouse: %s", msg)
		}
	}
	return nil
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "chserver:", err)
	os.Exit(1)
}
