//go:build unix && amd64 && !purego

package jsonskip

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// TestVectorStaysInBounds puts input and output between pages that must not be
// touched.
func TestVectorStaysInBounds(t *testing.T) {
	fenced := func() (begin, end func(n int) []byte) {
		page := syscall.Getpagesize()
		m, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Munmap(m) })
		for _, fence := range [][]byte{m[:page], m[2*page:]} {
			if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
				t.Fatal(err)
			}
		}
		return func(n int) []byte { return m[page : page+n : page+n] }, func(n int) []byte { return m[2*page-n : 2*page : 2*page] }
	}
	pBegin, pEnd := fenced()
	outBegin, outEnd := fenced()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 5 * block {
		for _, p := range [][]byte{pBegin(n), pEnd(n)} {
			for _, letters := range []string{`abc`, `abcdefghijkl\n`, `\"`, `ab[]{},"\n`} {
				for i := range p {
					p[i] = letters[random.IntN(len(letters))]
				}
				checkVector(t, [][]byte{p}, Skipper{depth: 3}, 100)
				for room := 1; room < n+block; room += 7 {
					for _, out := range [][]byte{outBegin(room), outEnd(room)} {
						checkUnescape(t, p, out[:0], room)
					}
				}
			}
		}
	}
}
