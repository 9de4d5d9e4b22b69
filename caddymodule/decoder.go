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
	d := &decoder{in: make(chan []byte), hungry: make(chan struct{})}
	var open func() (io.Reader, error)
	switch coding {
	case "gzip", "x-gzip":
		open = func() (io.Reader, error) { return gzip.NewReader(d) }
	case "deflate":
		open = func() (io.Reader, error) { return zlib.NewReader(d) }
	case "br":
		open = func() (io.Reader, error) { return brotli.NewReader(d), nil }
	case "zstd":
		open = func() (io.Reader, error) {
			return zstd.NewReader(d, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(64<<20))
		}
	default:
		return nil
	}
	go func() {
		defer close(d.hungry)
		r, err := open()
		if err != nil {
			return
		}
		if z, ok := r.(*zstd.Decoder); ok {
			defer z.Close()
		}
		_, _ = io.Copy(scanWriter(scan), io.LimitReader(r, maxDecoded)) // what is broken is not looked at any further
	}()
	d.wait()
	return d
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
