package scan

import (
	"bytes"
	"strings"
)

// maxTag bounds the name in @tagged.
const maxTag = 64

// maxEdge bounds a line that begins or ends a part of a text. A longer one is a
// line like others.
const maxEdge = 256

// partReader follows the one part of a text that a line begins and a line ends.
// A text with no such part, or two, or one that has no end, is not of that
// format.
type partReader struct {
	part   *textPart
	text   *textReader
	line   []byte // the line that passes, as long as it can be an edge
	inLine bool   // it cannot be one any more
	state  partState
	edge   []byte // the line that begins the part
	alive  bool   // the text inside can still be known
}

type partState uint8

const (
	partBefore partState = iota
	partIn
	partAfter
	partBroken
)

func (r *partReader) begin(m *matches, place *textPart) {
	if r.text == nil {
		r.text = new(textReader)
	}
	r.part, r.line, r.inLine, r.state, r.edge, r.alive = place, r.line[:0], false, partBefore, r.edge[:0], true
	r.text.begin(m, place.text)
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

// add takes in a piece of a line, or the last of it with the LF.
func (r *partReader) add(piece []byte, last bool) {
	if !r.inLine {
		n := min(len(piece), maxEdge+1)
		r.line = append(r.line, piece[:n]...)
		if len(r.line) <= maxEdge && r.mayBeEdge() {
			if last {
				r.endLine()
			}
			return
		}
		r.feedText(r.line)
		r.line, r.inLine, piece = r.line[:0], true, piece[n:]
	}
	r.feedText(piece)
	if last {
		r.inLine = false
	}
}

// mayBeEdge reports whether the line, as far as it has come, can be an edge.
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

// begins reports whether such a part begins with the line.
func (t *textPart) begins(line string) bool {
	if t.kind == stepTagged {
		name, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "<"+t.tag)
		name, closed := strings.CutSuffix(name, ">")
		return ok && closed && isTag("x"+name)
	}
	fence, info := cutFence(line)
	return fence != "" && (fence[0] == '~' || !strings.Contains(info, "`"))
}

// ends reports whether the line ends a part that the line edge begins.
func (t *textPart) ends(edge, line string) bool {
	if t.kind == stepTagged {
		return strings.TrimLeft(line, " \t") == "</"+strings.TrimLeft(edge, " \t")[1:]
	}
	open, _ := cutFence(edge)
	fence, info := cutFence(line)
	return strings.HasPrefix(fence, open) && info == ""
}

// cutFence returns the fence that a line begins with (CommonMark, section 4.5),
// and what follows it; no fence is empty.
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
