package mcp

import (
	"bytes"
	"fmt"
	"sync"
)

// The codes of JSON-RPC 2.0, section 5.1, that an Error may have.
const (
	CodeParseError     = -32700 // the body is not one JSON value in UTF-8
	CodeInvalidRequest = -32600 // it is, but not a message that all decoders read the same way
)

// Error is why a body was refused.
type Error struct {
	Code   int    // CodeParseError or CodeInvalidRequest
	Reason string // for the person who sent the body; may quote a name from it
	Offset int    // where in the body, in bytes
	ID     []byte // id of the refused message as JSON text; nil if there is none to answer with
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (at byte %d)", e.Reason, e.Offset)
}

// Body has the messages of one request body. It can be reused for the next one,
// which saves allocations.
type Body struct {
	Messages []Message // at least one
	Batch    bool      // the messages came in an array
}

// Read reads a request body strictly and in one pass. Its messages alias
// data, which must not change while they are in use. A batch is refused unless
// allowBatch; only revision 2025-03-26 has them.
//
// The error is an *Error, and then the Body is empty. These are refused:
//   - anything but exactly one JSON value (RFC 8259) in valid UTF-8 without a
//     byte-order mark, surrounded by white space only;
//   - a name that occurs twice in one object, at any level, however it is
//     escaped, and a name with an unpaired surrogate;
//   - a member of a message or of its params whose name some decoder takes for
//     one of the protocol's although it is spelled differently (see misspells);
//   - more than 256 levels of arrays and objects;
//   - anything but a JSON-RPC 2.0 request, notification or response as MCP
//     defines them: params that are not an object, a method that is not a
//     string, an id that is neither a string nor an integer, a method together
//     with a result or an error, a tools/call without an id or a tool's name;
//   - an empty batch, and a batch in which two requests have the same id, so
//     that their answers could not be told apart.
func (b *Body) Read(data []byte, allowBatch bool) error {
	clear(b.Messages) // drop references to the last body
	b.Messages, b.Batch = b.Messages[:0], false
	r := readers.Get().(*reader)
	defer r.release()
	r.data = data
	if !r.body(b, allowBatch) {
		clear(b.Messages)
		b.Messages = b.Messages[:0]
		return r.err
	}
	return nil
}

// maxDepth is how deeply arrays and objects may nest, including the outermost.
// Decoders give up at very different depths.
const maxDepth = 256

// maxBody keeps every offset within the 31 bits that a nameSet has for it.
const maxBody = 1<<31 - 1

// reader reads one body. Its methods take the offset where a value or token
// begins and return the offset behind it, or -1 after setting err.
type reader struct {
	data    []byte
	err     *Error
	fields  fields
	names   []uint64 // names of the objects that are open, those of the innermost last; see nameSet
	spare   []uint64 // memory for growing a nameSet
	name    []byte   // the current name, if it had to be decoded
	other   []byte   // the name it is compared with, if that had to be decoded
	foldBuf []byte   // the current name, folded
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// release returns the reader to the pool, unless a hostile body has made it big.
func (r *reader) release() {
	if cap(r.names)+cap(r.spare) > 1<<15 || cap(r.name)+cap(r.other)+cap(r.foldBuf) > 1<<16 {
		return
	}
	r.data, r.err, r.fields, r.names = nil, nil, fields{}, r.names[:0]
	readers.Put(r)
}

// fail sets the error and returns -1.
func (r *reader) fail(code, offset int, format string, args ...any) int {
	r.err = &Error{Code: code, Offset: offset, Reason: fmt.Sprintf(format, args...)}
	return -1
}

// body reads the whole body into b. It reports whether that succeeded.
func (r *reader) body(b *Body, allowBatch bool) bool {
	if len(r.data) > maxBody {
		r.fail(CodeInvalidRequest, 0, "the body is longer than %d bytes", maxBody)
		return false
	}
	if bytes.HasPrefix(r.data, []byte("\ufeff")) {
		r.fail(CodeParseError, 0, "the body begins with a byte-order mark")
		return false
	}
	i := r.space(0)
	switch {
	case i == len(r.data):
		i = r.fail(CodeParseError, i, "the body is empty")
	case r.data[i] != '[':
		if i = r.message(b, i, 0); i < 0 && r.err.Code == CodeInvalidRequest && validID(r.fields.id) {
			r.err.ID = r.fields.id
		}
	case !allowBatch:
		i = r.fail(CodeInvalidRequest, i, "a batch of messages is allowed in protocol revision 2025-03-26 only")
	default:
		b.Batch = true
		i = r.batch(b, i)
	}
	if i < 0 {
		return false
	}
	if i = r.space(i); i < len(r.data) {
		r.fail(CodeParseError, i, "the body goes on after its JSON value")
		return false
	}
	return true
}

// batch reads an array of messages.
func (r *reader) batch(b *Body, i int) int {
	begin := i
	if i = r.space(i + 1); i < len(r.data) && r.data[i] == ']' {
		return r.fail(CodeInvalidRequest, begin, "a batch holds at least one message")
	}
	for {
		if i = r.message(b, i, 1); i < 0 {
			return i
		}
		i = r.space(i)
		if i == len(r.data) || r.data[i] != ',' && r.data[i] != ']' {
			return r.unexpected(i, "a comma or the end of the batch")
		}
		if r.data[i] == ']' {
			break
		}
		i = r.space(i + 1)
	}
	ids := make(map[string]struct{})
	for _, m := range b.Messages {
		if m.Kind != Request {
			continue
		}
		key := IDKey(m.ID)
		if _, twice := ids[key]; twice {
			return r.fail(CodeInvalidRequest, begin, "two requests of the batch have the id %s", excerpt(m.ID))
		}
		ids[key] = struct{}{}
	}
	return i + 1
}

// message reads a message into a new element of b.Messages. depth is that of
// the array around it, or 0.
func (r *reader) message(b *Body, i, depth int) int {
	r.fields = fields{}
	if i < len(r.data) && r.data[i] != '{' {
		if end := r.value(i, depth); end < 0 {
			return end
		}
		return r.fail(CodeInvalidRequest, i, "a message is a JSON object")
	}
	end := r.object(i, depth+1, ofMessage)
	if end < 0 {
		return end
	}
	m := Message{Raw: r.data[i:end]}
	if reason := r.fields.message(&m); reason != "" {
		return r.fail(CodeInvalidRequest, i, "%s", reason)
	}
	b.Messages = append(b.Messages, m)
	return end
}

// excerpt returns as much of b as an error quotes.
func excerpt(b []byte) []byte {
	const most = 64
	if len(b) <= most {
		return b
	}
	return append(bytes.ToValidUTF8(b[:most:most], nil), "…"...)
}

var _ error = (*Error)(nil)
