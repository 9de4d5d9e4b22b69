//go:build !linux

package usage

import "os"

// window is what journal_window_linux.go says, without any room.
type window struct{}

func (*window) put(*os.File, []byte, int64, int64) bool { return false }

func (*window) isOpen() bool { return false }

func (*window) close() {}

func (*window) synced() {}
