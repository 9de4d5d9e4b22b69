package gate

import (
	"compress/gzip"
	"compress/zlib"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decoder decodes a body that an upstream encodes although it was asked not to.
// Only the scanner reads the result; the client gets what the upstream sent. The
// decoder has a goroutine of its own, which runs only during write and close.
type decoder struct {
	in    chan []byte   // chunks of the body; closed by close
	idle  chan struct{} // receives when all chunks so far are decoded; closed when decoding has ended
	chunk []byte        // the rest of the last chunk
	ended bool          // idle is closed
}

// maxDecoded bounds in bytes how much of one decoded body is scanned, so that a
// decompression bomb costs a bounded time.
const maxDecoded = 4 << 30

// newDecoder returns a decoder that passes decoded bytes to scan, or nil for an
// unknown coding.
func newDecoder(coding string, scan func([]byte)) *decoder {
	open := codings[coding]
	if open == nil {
		return nil
	}
	d := &decoder{in: make(chan []byte), idle: make(chan struct{})}
	go func() {
		defer close(d.idle)
		r, err := open(d)
		if err != nil {
			return
		}
		defer func() { _ = r.Close() }()
		_, _ = io.Copy(scanWriter(scan), io.LimitReader(r, maxDecoded)) // a broken body is not scanned any further
	}()
	d.wait()
	return d
}

// codings are those of HTTP (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
var codings = map[string]func(io.Reader) (io.ReadCloser, error){
	"gzip":    func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
	"x-gzip":  func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
	"deflate": zlib.NewReader,
	"br":      func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(brotli.NewReader(r)), nil },
	"zstd": func(r io.Reader) (io.ReadCloser, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	},
}

// write decodes a chunk as far as it goes.
func (d *decoder) write(p []byte) {
	if d.ended || len(p) == 0 {
		return
	}
	d.in <- p
	d.wait()
}

// close ends the goroutine.
func (d *decoder) close() {
	close(d.in)
	for !d.ended {
		d.wait()
	}
}

// wait waits until the goroutine has decoded all chunks.
func (d *decoder) wait() {
	_, more := <-d.idle
	d.ended = !more
}

// Read is called by the goroutine.
func (d *decoder) Read(p []byte) (int, error) {
	if len(d.chunk) == 0 {
		d.idle <- struct{}{}
		var ok bool
		if d.chunk, ok = <-d.in; !ok {
			return 0, io.EOF
		}
	}
	n := copy(p, d.chunk)
	d.chunk = d.chunk[n:]
	return n, nil
}

type scanWriter func([]byte)

// Write is io.Writer's.
func (w scanWriter) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
