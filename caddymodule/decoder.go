package caddymodule

import (
	"compress/gzip"
	"compress/zlib"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decoder decodes a body that an upstream encodes although it was asked not to,
// for the scanner only: the client gets what the upstream sent. It runs in a
// goroutine of its own, but never while write is not called.
type decoder struct {
	in      chan []byte   // closed by close
	hungry  chan struct{} // sent to when everything so far is decoded; closed at the end
	pending []byte        // of the last piece
	ended   bool          // hungry is closed
}

// maxDecoded bounds what is looked at of one body: a bomb stays one row.
const maxDecoded = 4 << 30

// newDecoder returns a decoder that hands what it decodes to scan, or nil for a
// coding that it does not know.
func newDecoder(coding string, scan func([]byte)) *decoder {
	open := codings[coding]
	if open == nil {
		return nil
	}
	d := &decoder{in: make(chan []byte), hungry: make(chan struct{})}
	go func() {
		defer close(d.hungry)
		r, err := open(d)
		if err != nil {
			return
		}
		defer func() { _ = r.Close() }()
		_, _ = io.Copy(scanWriter(scan), io.LimitReader(r, maxDecoded)) // what is broken is not looked at any further
	}()
	d.wait()
	return d
}

// codings are those that HTTP has (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
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

// write decodes a piece as far as it goes.
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

// wait waits until the goroutine has nothing left to decode.
func (d *decoder) wait() {
	_, more := <-d.hungry
	d.ended = !more
}

// Read is for the goroutine.
func (d *decoder) Read(p []byte) (int, error) {
	if len(d.pending) == 0 {
		d.hungry <- struct{}{}
		var ok bool
		if d.pending, ok = <-d.in; !ok {
			return 0, io.EOF
		}
	}
	n := copy(p, d.pending)
	d.pending = d.pending[n:]
	return n, nil
}

type scanWriter func([]byte)

// Write is io.Writer's.
func (w scanWriter) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
