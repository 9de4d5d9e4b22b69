package usage

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// window is a part of the last segment in memory, ahead of its end. A record
// that is copied into it is in the page cache like one that is written, and
// survives the process like that, at a quarter of the cost. Its room on the disk
// is taken first, so that a full disk is found out by that, and zeros stand
// behind the segment's end until the segment is cut.
//
// The zero window has no room. So has one where the file system takes no room
// in advance, and at the beginning of a segment, which may be all there ever is
// of it; then records are written.
type window struct {
	data   []byte
	from   int64 // where in the segment
	resume int64 // it is not moved before: that failed
	ready  int64 // up to where in data it can be written without a fault
	ahead  int64 // how much is made ready next, in bytes
}

const (
	// maxWindow is how much of a segment is in memory at once, in bytes.
	maxWindow = 1 << 20

	// maxAhead is how much of that is made ready at once, in bytes.
	maxAhead = 128 << 10
)

// windowsFrom is where in a segment windows begin. Tests have them everywhere.
var windowsFrom int64 = 64 << 10

// errFault is what a disk answers that fails under a window.
var errFault = errors.New("the disk fails where a segment is in memory")

// put puts a record into the segment; not ok where it has to be written.
func (w *window) put(f *os.File, record []byte, at, segmentBytes int64) (ok bool) {
	if at < w.from || at+int64(len(record)) > w.from+int64(len(w.data)) {
		if at < max(w.resume, windowsFrom) {
			return false
		}
		if err := w.move(f, at, min(segmentBytes, maxWindow)); err != nil {
			w.resume = at + maxWindow
			return false
		}
		if at+int64(len(record)) > w.from+int64(len(w.data)) {
			return false // it is that long
		}
	}
	if at-w.from+int64(len(record)) > w.ready {
		w.makeReady(at-w.from, int64(len(record)))
	}
	if err := w.copy(record, at-w.from); err != nil {
		w.close()
		w.resume = at + maxWindow
		return false
	}
	return true
}

// makeReady has the kernel make pages writable: those of a record at an offset
// of data, and more the more there were since the last sync. One by one, by
// faults in the midst of calls, they would cost several times as much. What
// goes wrong, as on a kernel before 5.14, is left to the faults.
func (w *window) makeReady(at, length int64) {
	page := int64(os.Getpagesize())
	begin := max(w.ready, at&^(page-1))
	end := min((max(at+length, begin+w.ahead)+page-1)&^(page-1), int64(len(w.data)))
	_ = unix.Madvise(w.data[begin:end], unix.MADV_POPULATE_WRITE)
	w.ready = end
	w.ahead = min(max(2*w.ahead, page), maxAhead)
}

// synced notes that a sync begins: it takes from pages that they are ready, and
// would write those that nobody needs.
func (w *window) synced() { w.ready, w.ahead = 0, 0 }

// copy is copy, but that a disk that fails is an error and not the end of the
// process. The record is whole when its last byte is there.
func (w *window) copy(record []byte, at int64) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault, ok := recover().(interface{ Addr() uintptr }); ok {
			err = fmt.Errorf("%w: at %#x", errFault, fault.Addr())
		}
	}()
	last := len(record) - 1
	copy(w.data[at:], record[:last])
	w.data[at+int64(last)] = record[last]
	return nil
}

// move has the window begin at an offset of the segment, or a little before.
func (w *window) move(f *os.File, at, length int64) error {
	w.close()
	page := int64(os.Getpagesize())
	from := at &^ (page - 1)
	length = (length + page - 1) &^ (page - 1)
	if err := unix.Fallocate(int(f.Fd()), 0, from, length); err != nil {
		return err
	}
	data, err := unix.Mmap(int(f.Fd()), from, int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	// Else the kernel reads ahead in folios of up to megabytes, of which each
	// page that becomes writable marks all as written.
	_ = unix.Madvise(data, unix.MADV_RANDOM)
	w.data, w.from = data, from
	return nil
}

// isOpen tells whether there is a window, and zeros in it perhaps.
func (w *window) isOpen() bool { return w.data != nil }

// close lets go of the memory. What was put stays.
func (w *window) close() {
	if w.data != nil {
		_ = unix.Munmap(w.data) // fails for what is no mapping
	}
	*w = window{resume: w.resume}
}
