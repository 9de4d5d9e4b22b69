package scan

import (
	"bytes"
	"strings"
)

// maxTag is the length in bytes of the longest name in @tagged.
const maxTag = 64

// maxEdge is the length in bytes of the longest line that begins or ends a part
// of a text. A longer line is part of the text.
const maxEdge = 256

// partReader finds the one part of a text between a line that begins it and a
// line that ends it, and passes its inside to another textReader. A text with no
// such part, with two, or with one that does not end is not of that format.
type partReader struct {
	part   *textPart
	text   *textReader
	line   []byte // the current line, as long as it may be an edge
	inLine bool   // the current line is not an edge
	state  partState
	edge   []byte // the line that begins the part
	alive  bool   // the text inside may still matter
}

type partState uint8

const (
	partBefore partState = iota
	partIn
	partAfter
	partBroken
)

func (r *partReader) begin(m *matches, part *textPart) {
	if r.text == nil {
		r.text = new(textReader)
	}
	r.part, r.line, r.inLine, r.state, r.edge, r.alive = part, r.line[:0], false, partBefore, r.edge[:0], true
	r.text.begin(m, part.text)
}

func (r *partReader) feed(p []byte) bool {
	for len(p) > 0 && r.state != partBroken {
		lf := bytes.IndexByte(p, '\n')
		line := p[:lf+1]
		if lf < 0 {
			line = p
		}
		r.add(line, lf >= 0)
		p = p[len(line):]
	}
	return r.state != partBroken && r.alive
}

// add reads a chunk of a line. last is set if the chunk ends with the LF.
func (r *partReader) add(chunk []byte, last bool) {
	if !r.inLine {
		n := min(len(chunk), maxEdge+1)
		r.line = append(r.line, chunk[:n]...)
		if len(r.line) <= maxEdge && r.mayBeEdge() {
			if last {
				r.endLine()
			}
			return
		}
		r.feedText(r.line)
		r.line, r.inLine, chunk = r.line[:0], true, chunk[n:]
	}
	r.feedText(chunk)
	if last {
		r.inLine = false
	}
}

// mayBeEdge reports whether the line, as far as it is known, may begin or end a
// part.
func (r *partReader) mayBeEdge() bool {
	text := bytes.TrimLeft(r.line, " \t")
	if len(text) == 0 {
		return true
	}
	if r.part.kind == stepTagged {
		return text[0] == '<'
	}
	return text[0] == '`' || text[0] == '~'
}

// feedText passes on what is inside the part.
func (r *partReader) feedText(p []byte) {
	if r.state == partIn && r.alive {
		r.alive = r.text.feed(p)
	}
}

func (r *partReader) endLine() {
	line := strings.TrimRight(string(r.line), " \t\r\n")
	switch {
	case r.state == partIn && r.part.ends(string(r.edge), line):
		r.state = partAfter
	case r.state != partIn && r.part.begins(line):
		if r.state == partAfter {
			r.state = partBroken
			break
		}
		r.state, r.edge = partIn, append(r.edge[:0], line...)
	default:
		r.feedText(r.line)
	}
	r.line = r.line[:0]
}

// begins reports whether the line begins such a part.
func (t *textPart) begins(line string) bool {
	if t.kind == stepTagged {
		name, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "<"+t.tag)
		name, closed := strings.CutSuffix(name, ">")
		return ok && closed && isTag("x"+name)
	}
	fence, info := cutFence(line)
	return fence != "" && (fence[0] == '~' || !strings.Contains(info, "`"))
}

// ends reports whether the line ends a part that began with the line edge.
func (t *textPart) ends(edge, line string) bool {
	if t.kind == stepTagged {
		return strings.TrimLeft(line, " \t") == "</"+strings.TrimLeft(edge, " \t")[1:]
	}
	open, _ := cutFence(edge)
	fence, info := cutFence(line)
	return strings.HasPrefix(fence, open) && info == ""
}

// cutFence returns the fence at the beginning of a line (CommonMark, section
// 4.5), or "", and what follows it.
func cutFence(line string) (fence, info string) {
	text := strings.TrimLeft(line, " ")
	if len(line)-len(text) > 3 || text == "" || text[0] != '`' && text[0] != '~' {
		return "", ""
	}
	info = strings.TrimLeft(text, text[:1])
	if fence = text[:len(text)-len(info)]; len(fence) < 3 {
		return "", ""
	}
	return fence, info
}

// isTag reports whether s can be the name of a tag.
func isTag(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

func (r *partReader) end() {
	if len(r.line) > 0 && !r.inLine {
		r.endLine()
	}
	if r.state != partAfter {
		r.text.matches.discard(r.part.text.all)
		r.text.matches.closeText(r.part.text.all, WrongFormat)
		return
	}
	r.text.end()
}
