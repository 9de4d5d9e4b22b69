package mcp

import (
	"github.com/tallygate/tallygate/mcp/sqltables"
)

// textPlace is a place inside a string: all that is wanted of the text.
type textPlace struct {
	json  *place     // of the JSON that the text is
	rows  []textRows // of a format that counts rows
	parts []textPart // of a part of the text
	query []int      // wanted that are the tables of the query that the text is
	all   []int      // wanted in all of these
	jsonW []int      // wanted in json
}

type textRows struct {
	kind   stepKind
	only   bool // of Markdown: all want a text that has nothing else
	wanted []int
}

type textPart struct {
	kind stepKind
	tag  string
	text *textPlace
}

// compileText makes the place of a text that ways go into by a modifier.
func (p *plan) compileText(ways []way) *textPlace {
	t := &textPlace{}
	var json []way
	for _, w := range ways {
		t.all = append(t.all, w.wanted)
		rest := way{w.wanted, w.steps[1:]}
		switch st := w.steps[0]; {
		case st.kind == stepFromStr:
			json = append(json, rest)
			t.jsonW = append(t.jsonW, w.wanted)
		case st.kind == stepSQL:
			t.query = append(t.query, w.wanted)
		case st.kind.countsRows():
			t.addRows(st, w.wanted)
		case !t.hasPart(st):
			var same []way
			for _, other := range ways {
				if o := other.steps[0]; o.kind == st.kind && o.name == st.name {
					same = append(same, way{other.wanted, other.steps[1:]})
				}
			}
			t.parts = append(t.parts, textPart{st.kind, st.name, p.compileText(same)})
		}
	}
	if len(json) > 0 {
		t.json = p.compile(json, nil)
	}
	return t
}

func (t *textPlace) addRows(st step, wanted int) {
	only := st.name == "only"
	for i := range t.rows {
		if r := &t.rows[i]; r.kind == st.kind {
			r.wanted = append(r.wanted, wanted)
			r.only = r.only && only
			return
		}
	}
	t.rows = append(t.rows, textRows{st.kind, only, []int{wanted}})
}

func (t *textPlace) hasPart(st step) bool {
	for i := range t.parts {
		if t.parts[i].kind == st.kind && t.parts[i].tag == st.name {
			return true
		}
	}
	return false
}

// maxQuery bounds in bytes a query whose tables are wanted.
const maxQuery = 64 << 10

// textReader follows a text that comes in pieces, along a textPlace. What a
// text says is known when it has ended; of one that is not of the format that a
// path says, nothing is.
type textReader struct {
	caught *caught
	place  *textPlace
	json   document
	rows   []rowCounter // of place.rows; nil: the text is not of that format
	parts  []*partReader
	query  []byte
	over   bool // the query is longer than any that is read

	counters [stepPython + 1]rowCounter // memory of rows
	memory   []*partReader              // of parts
}

func (r *textReader) begin(c *caught, place *textPlace) {
	r.caught, r.place = c, place
	if place.json != nil {
		r.json.begin(c, place.json)
	} else {
		r.json.state = docBroken
	}
	r.rows = r.rows[:0]
	for i := range place.rows {
		kind := place.rows[i].kind
		if r.counters[kind] == nil {
			r.counters[kind] = newRowCounter(kind)
		}
		r.counters[kind].reset(place, &place.rows[i])
		r.rows = append(r.rows, r.counters[kind])
	}
	r.parts = r.parts[:0]
	for i := range place.parts {
		if i == len(r.memory) {
			r.memory = append(r.memory, new(partReader))
		}
		r.memory[i].begin(c, &place.parts[i])
		r.parts = append(r.parts, r.memory[i])
	}
	r.query, r.over = r.query[:0], false
}

// feed takes in a piece and reports whether anything can still be known of the
// text.
func (r *textReader) feed(p []byte) (alive bool) {
	var behind []byte // the JSON that the text begins with
	if r.place.json != nil && r.json.state != docBroken {
		behind = r.feedJSON(p)
		alive = r.json.state != docBroken
	}
	for i, counter := range r.rows {
		switch lines, ok := counter.(*jsonLines); {
		case counter == nil:
		case ok && lines.riding:
			if lines.ride(p, behind, r.json.state) {
				alive = true
			} else {
				r.rows[i] = nil
			}
		case counter.feed(p):
			alive = true
		default:
			r.rows[i] = nil
		}
	}
	for _, part := range r.parts {
		if part.feed(p) {
			alive = true
		}
	}
	if len(r.place.query) > 0 {
		alive = true
		if r.over = r.over || len(r.query)+len(p) > maxQuery; !r.over {
			r.query = append(r.query, p...)
		}
	}
	return alive
}

// skips tells how the text is written when its JSON is all that matters of it,
// and that is skipped; or asJSON.
func (r *textReader) skips() spelling {
	if r.json.state != docSkip && r.json.state != docCount || len(r.parts) > 0 || len(r.place.query) > 0 {
		return asJSON
	}
	as := inText
	for _, counter := range r.rows {
		if counter == nil {
			continue
		}
		if lines, ok := counter.(*jsonLines); !ok || !lines.riding {
			return asJSON
		}
		as = inLine
	}
	return as
}

// feedJSON takes in a piece as JSON and returns what is behind the value.
func (r *textReader) feedJSON(p []byte) (behind []byte) {
	behind = p[r.json.feed(p):]
	for _, c := range behind {
		if !isSpace(c) {
			r.json.state = docBroken
			break
		}
	}
	return behind
}

// end is called behind the text, or where nothing of it can be known any more.
func (r *textReader) end() {
	if r.place.json != nil {
		if r.json.end() {
			r.caught.settleText(r.place.jsonW, NotFound)
		} else {
			r.caught.forget(r.place.jsonW)
			r.caught.settleText(r.place.jsonW, WrongFormat)
		}
	}
	for i := range r.place.rows {
		wanted := r.place.rows[i].wanted
		if counter := r.rows[i]; counter != nil {
			if found, ok := counter.end(); ok {
				for _, w := range wanted {
					if path := r.caught.plan.wanted[w].path; found.fits(path.steps[len(path.steps)-2]) && !r.caught.closed(w) {
						r.caught.number(w, found.rows)
					}
				}
			}
		}
		r.caught.settleText(wanted, WrongFormat)
	}
	for _, part := range r.parts {
		part.end()
	}
	for _, w := range r.place.query {
		r.endQuery(w)
	}
}

func (r *textReader) endQuery(w int) {
	c := r.caught
	if c.closed(w) {
		return
	}
	if r.over {
		c.fail(w, OverCap)
		return
	}
	path := c.plan.wanted[w].path
	tables, err := sqltables.Tables(path.steps[len(path.steps)-1].name, string(r.query))
	if err != nil {
		c.fail(w, SQLUnread)
		return
	}
	for _, name := range tables {
		c.table(w, value{kind: isString, text: []byte(name)})
	}
	if s := &c.answers[w]; s.why == Known {
		s.done, s.known = true, true // also where it names none
		c.settle(w)
	}
}

// rowCounter counts the rows of a text of one format.
type rowCounter interface {
	reset(*textPlace, *textRows)
	// feed reports whether the text can still be of the format.
	feed(p []byte) bool
	// end is not ok when the text is not of the format.
	end() (found rowsFound, ok bool)
}

// rowsFound is what a rowCounter makes of a text.
type rowsFound struct {
	rows  int64
	size  int64 // columns of a table, lines of NDJSON
	other bool  // there is more in the text than the rows
}

// fits reports whether that is what the modifier asks for.
func (f rowsFound) fits(modifier step) bool {
	if f.other && modifier.kind == stepMarkdown && modifier.name == "only" {
		return false
	}
	return f.size >= int64(modifier.index)
}

func newRowCounter(kind stepKind) rowCounter {
	switch kind {
	case stepCSV:
		return &csvRows{comma: ','}
	case stepTSV:
		return &csvRows{comma: '\t'}
	case stepMarkdown:
		return new(markdownRows)
	case stepNDJSON:
		return new(jsonLines)
	}
	return new(pythonList)
}
