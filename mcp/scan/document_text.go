package scan

import "crypto/sha256"

// Texts are unescaped textChunkSize bytes at a time. The first chunk of a long
// text is smaller, since the first bytes often show that the rest is not needed.
const (
	textChunkSize      = 4096
	textFirstChunkSize = 128
)

// beginText prepares for a string that is unescaped in chunks.
func (d *document) beginText() {
	if d.chunk == nil {
		d.chunk = make([]byte, 0, textChunkSize+64)
	}
	d.chunk = d.chunk[:0]
	if d.node.text != nil {
		if d.text == nil {
			d.text = new(textReader)
		}
		d.matches.texts++
		d.text.begin(d.matches, d.node.text)
	}
	switch {
	case !d.node.hash:
	case d.hash == nil:
		d.hash = sha256.New()
	default:
		d.hash.Reset()
	}
}

// endText is called after a text, or as soon as nothing more can be learned from
// it.
func (d *document) endText() {
	if n := d.node; n.text != nil {
		d.matches.texts--
		d.text.end()
	}
}

// readText unescapes a chunk of a text and passes it to the text reader and the
// hash. When neither needs the rest of the text, it skips that.
func (d *document) readText(p []byte) int {
	n := d.node
	limit := textChunkSize
	if len(d.chunk) == 0 {
		if len(p) > textChunkSize/2 { // a short text is read at once
			limit = textFirstChunkSize
		}
	}
	chunk, length, closed, ok := d.unescape.Read(d.chunk[:0], p, limit)
	if !ok {
		d.state = docBroken
		return length
	}
	if len(chunk) > 0 {
		d.chunk = chunk
	}
	alive := n.text != nil && d.text.feed(chunk)
	if n.hash {
		d.hash.Write(chunk)
	}
	if n.keep && !d.over {
		if d.over = len(d.kept)+len(chunk) > maxKept; !d.over {
			d.kept = append(d.kept, chunk...)
		}
	}
	switch {
	case closed:
		d.endText()
		v := value{kind: isString, text: d.kept, over: d.over}
		if n.hash {
			v.sum = d.hash.Sum(d.sum[:0])
		}
		d.report(v)
		d.endValue()
	case !alive && !n.hash && (!n.keep || d.over):
		d.endText()
		d.escape = d.unescape.BehindBackslash()
		d.state = docSkipString
	}
	return length
}
