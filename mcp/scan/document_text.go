package scan

import "crypto/sha256"

// textPiece is how much of a text is unescaped at once. Of its beginning it is
// less: that often tells that nothing is wanted of the rest, or little.
const (
	textPiece = 4096
	textFirst = 128
)

// beginText gets ready for a text that is unescaped piece by piece.
func (d *document) beginText() {
	if d.piece == nil {
		d.piece = make([]byte, 0, textPiece+64)
	}
	d.piece = d.piece[:0]
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

// endText is called behind a text, or where nothing of it can be known any
// more.
func (d *document) endText() {
	if n := d.node; n.text != nil {
		d.matches.texts--
		d.text.end()
	}
}

// readText unescapes a piece of a text and hands it to whom it concerns, or
// passes over what concerns nobody.
func (d *document) readText(p []byte) int {
	n := d.node
	limit := textPiece
	if len(d.piece) == 0 {
		if len(p) > textPiece/2 { // a short text is read at once
			limit = textFirst
		}
	}
	piece, length, closed, ok := d.unescape.Read(d.piece[:0], p, limit)
	if !ok {
		d.state = docBroken
		return length
	}
	if len(piece) > 0 {
		d.piece = piece
	}
	alive := n.text != nil && d.text.feed(piece)
	if n.hash {
		d.hash.Write(piece)
	}
	if n.keep && !d.over {
		if d.over = len(d.kept)+len(piece) > maxKept; !d.over {
			d.kept = append(d.kept, piece...)
		}
	}
	switch {
	case closed:
		d.endText()
		v := value{kind: isString, text: d.kept, over: d.over}
		if n.hash {
			v.sum = d.hash.Sum(d.sum[:0])
		}
		d.found(v)
		d.endValue()
	case !alive && !n.hash && (!n.keep || d.over):
		d.endText()
		d.escape = d.unescape.BehindBackslash()
		d.state = docSkipString
	}
	return length
}
