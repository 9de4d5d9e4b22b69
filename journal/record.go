package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
)

// A record is one line of text, so that a segment can be read with cut:
//
//	000000f4 9ae0b1f3 0193…	2026-…
//
// It consists of the payload's length and its CRC-32C, both as eight hex digits,
// the payload, and a newline. A payload contains no newline. So after damage of
// any kind, also to a length, the next record begins after the next newline.
const (
	recordHeader = 8 + 1 + 8 + 1
	recordFrame  = recordHeader + 1 // header and newline

	// maxPayload bounds an event on disk, and with it the memory for reading one.
	maxPayload = 8 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// beginRecord appends room for a record's header. The payload is to follow it.
func beginRecord(b []byte) []byte {
	return append(b, "00000000 00000000 "...)
}

// endRecord completes b, a record up to the end of its payload.
func endRecord(b []byte) []byte {
	payload := b[recordHeader:]
	var length, sum [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(payload)))
	binary.BigEndian.PutUint32(sum[:], crc32.Checksum(payload, castagnoli))
	hex.Encode(b, length[:])
	hex.Encode(b[9:], sum[:])
	return append(b, '\n')
}

// parseRecord returns the payload of the record at the start of line, and the
// record's length. The length is 0 when no intact record is there. The byte that
// ends the record may be any: where a newline was damaged, the record before it
// and the one after it are intact.
func parseRecord(line []byte) (payload []byte, n int) {
	if len(line) <= recordHeader || line[8] != ' ' || line[17] != ' ' {
		return nil, 0
	}
	var header [8]byte
	if _, err := hex.Decode(header[:4], line[:8]); err != nil {
		return nil, 0
	}
	if _, err := hex.Decode(header[4:], line[9:17]); err != nil {
		return nil, 0
	}
	length := int64(binary.BigEndian.Uint32(header[:4]))
	if length > maxPayload || int64(len(line)) < recordFrame+length {
		return nil, 0
	}
	payload = line[recordHeader : recordHeader+length]
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(header[4:]) {
		return nil, 0
	}
	return payload, len(payload) + recordFrame
}

// scanner reads the intact records of a segment and skips damaged bytes.
type scanner struct {
	r    *bufio.Reader
	line []byte // the rest of the current line
	long []byte // holds a line that is longer than the reader's buffer

	offset int64 // in the segment, where the record last returned ends
	lines  int64 // newlines before offset
}

// newScanner returns a scanner of the bytes between two offsets of a segment.
func newScanner(segment io.ReaderAt, start, end int64) *scanner {
	r := io.NewSectionReader(segment, start, end-start)
	return &scanner{r: bufio.NewReaderSize(r, int(min(end-start, 64<<10))), offset: start}
}

// next returns the payload of the next intact record, which is valid until the
// next call, and the number of damaged bytes before it. At the end, where there
// may be damaged bytes too, the error is io.EOF. Other errors are the reader's.
func (s *scanner) next() (payload []byte, damaged int64, err error) {
	for {
		for len(s.line) > 0 {
			payload, n := parseRecord(s.line)
			if n > 0 {
				s.line = s.line[n:]
				s.offset += int64(n)
				return payload, damaged, nil
			}
			damaged += int64(len(s.line))
			s.offset += int64(len(s.line))
			s.line = nil
		}
		skipped, err := s.readLine()
		damaged += skipped
		s.offset += skipped
		if err != nil {
			return nil, damaged, err
		}
	}
}

// readLine reads the next line. The last one may have no newline. A line longer
// than two records is skipped: one damaged newline joins no more than that.
func (s *scanner) readLine() (skipped int64, err error) {
	s.line, err = s.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		s.long = s.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			if s.long = append(s.long, s.line...); len(s.long) > 2*(recordFrame+maxPayload) {
				skipped += int64(len(s.long))
				s.long = s.long[:0]
			}
			s.line, err = s.r.ReadSlice('\n')
		}
		s.long = append(s.long, s.line...)
		s.line = s.long
	}
	if bytes.HasSuffix(s.line, []byte{'\n'}) {
		s.lines++
	}
	if skipped > 0 {
		skipped += int64(len(s.line))
		s.line = nil
	}
	if errors.Is(err, io.EOF) && (len(s.line) > 0 || skipped > 0) {
		err = nil // the end comes with the next call
	}
	return skipped, err
}
