package mcp

// textPlace is a place inside a string: all that is wanted of the text.
type textPlace struct {
	values [stepPython + 1]textValue // by the modifier that takes the text for a value
	rows   []textRows                // of a format that counts rows
	lines  []int                     // wanted that are the lines of NDJSON
	parts  []textPart                // of a part of the text
	words  []int                     // wanted that the text says in words
	query  []int                     // wanted that are the tables of the query that the text is
	all    []int                     // wanted in all of these
}

// textValue is what is wanted of the value that a text is; the zero textValue
// is nothing.
type textValue struct {
	place  *place
	wanted []int
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
	var values [stepPython + 1][]way
	for _, w := range ways {
		t.all = append(t.all, w.wanted)
		rest := way{w.wanted, w.steps[1:]}
		switch st := w.steps[0]; {
		case st.kind.isValue():
			values[st.kind] = append(values[st.kind], rest)
			t.values[st.kind].wanted = append(t.values[st.kind].wanted, w.wanted)
		case st.kind == stepSQL:
			t.query = append(t.query, w.wanted)
		case st.kind.isWords():
			t.words = append(t.words, w.wanted)
		case st.kind == stepNDJSON:
			t.lines = append(t.lines, w.wanted)
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
	for kind, ways := range values {
		if len(ways) > 0 {
			t.values[kind].place = p.compile(ways, nil)
		}
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

func (t *textPlace) wantsJSON() bool {
	return t.values[stepFromStr].place != nil || t.values[stepEmbedded].place != nil || len(t.lines) > 0
}

// textReader follows a text that comes in pieces, along a textPlace. What a
// text says is known when it has ended; of one that is not of the format that a
// path says, nothing is.
type textReader struct {
	caught *caught
	place  *textPlace

	wantsJSON bool
	json      jsonText
	python    pythonText
	isPython  bool // the text can still be Python's
	documents [stepPython + 1]document
	rows      []rowCounter // of place.rows; nil: the text is not of that format
	parts     []*partReader
	kept      []byte // of a query, or of a text that says something in words
	words     words
	over      bool // it is longer than any that is read

	counters [stepVertical + 1]rowCounter // memory of rows
	memory   []*partReader                // of parts
}

func (r *textReader) begin(c *caught, place *textPlace) {
	r.caught, r.place, r.wantsJSON = c, place, place.wantsJSON()
	for kind := range place.values {
		if v := &place.values[kind]; v.place != nil {
			r.documents[kind].begin(c, v.place)
		}
	}
	if r.wantsJSON {
		r.json.begin()
	}
	if r.isPython = place.values[stepPython].place != nil; r.isPython {
		r.python.begin()
	}
	r.rows = r.rows[:0]
	for i := range place.rows {
		kind := place.rows[i].kind
		if r.counters[kind] == nil {
			r.counters[kind] = newRowCounter(kind)
		}
		r.counters[kind].reset(&place.rows[i])
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
	r.kept, r.over = r.kept[:0], false
}

// feed takes in a piece and reports whether anything can still be known of the
// text.
func (r *textReader) feed(p []byte) (alive bool) {
	if r.wantsJSON {
		r.json.feed(p, r.document(stepFromStr), r.document(stepEmbedded))
		alive = r.json.whole || r.json.lines || r.json.embedded
	}
	if r.isPython {
		r.isPython = r.python.feed(p, &r.documents[stepPython])
		alive = alive || r.isPython
	}
	for i, counter := range r.rows {
		switch {
		case counter == nil:
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
	return r.keep(p) || alive
}

// document is what reads the value of that kind, or nil where nothing of it is
// wanted.
func (r *textReader) document(kind stepKind) *document {
	if r.place.values[kind].place == nil {
		return nil
	}
	return &r.documents[kind]
}

// keep keeps a text that is read as a whole when it has ended.
func (r *textReader) keep(p []byte) (alive bool) {
	limit := maxWords
	if len(r.place.query) > 0 {
		limit = maxQuery
	} else if len(r.place.words) == 0 {
		return false
	}
	if r.over = r.over || len(r.kept)+len(p) > limit; !r.over {
		r.kept = append(r.kept, p...)
	}
	return len(r.place.query) > 0 || !r.over
}

// end is called behind the text, or where nothing of it can be known any more.
func (r *textReader) end() {
	for kind := range r.place.values {
		if v := &r.place.values[kind]; v.place != nil {
			r.endValue(stepKind(kind), v.wanted)
		}
	}
	if len(r.place.lines) > 0 {
		found, ok := r.json.rows()
		r.endRows(r.place.lines, found, ok)
	}
	for i := range r.place.rows {
		var found rowsFound
		ok := false
		if counter := r.rows[i]; counter != nil {
			found, ok = counter.end()
		}
		r.endRows(r.place.rows[i].wanted, found, ok)
	}
	for _, part := range r.parts {
		part.end()
	}
	if len(r.place.words) > 0 {
		r.endWords()
	}
	for _, w := range r.place.query {
		r.endQuery(w)
	}
}

// endValue is called behind a text that may be, or hold, a value.
func (r *textReader) endValue(kind stepKind, wanted []int) {
	var is bool
	switch kind {
	case stepFromStr:
		is = r.json.isWhole()
	case stepEmbedded:
		if r.json.isNote() {
			r.caught.passOver(wanted)
			return
		}
		is = r.json.isEmbedded()
	default:
		is = r.isPython && r.python.end()
	}
	if is && r.documents[kind].end() {
		r.caught.settleText(wanted, NotFound)
		return
	}
	r.caught.forget(wanted)
	r.caught.settleText(wanted, WrongFormat)
}

func (r *textReader) endRows(wanted []int, found rowsFound, ok bool) {
	for _, w := range wanted {
		wanted := &r.caught.plan.wanted[w]
		fits := found.fits(wanted.path.steps[len(wanted.path.steps)-2]) && (wanted.several || found.rows >= wanted.atLeast)
		if ok && fits && !r.caught.closed(w) {
			r.caught.number(w, found.rows)
		}
	}
	r.caught.settleText(wanted, WrongFormat)
}

// endWords is called behind a text that may say a number in words.
func (r *textReader) endWords() {
	if r.over {
		r.caught.passOver(r.place.words)
		return
	}
	r.words.read(r.kept)
	for _, w := range r.place.words {
		steps := r.caught.plan.wanted[w].path.steps
		read := r.words.affected
		if steps[len(steps)-1].kind == stepNoRows {
			read = r.words.noRows
		}
		if n, ok := read(); !ok {
			r.caught.passOver([]int{w})
		} else if !r.caught.closed(w) {
			r.caught.number(w, n)
			r.caught.settle(w)
		}
	}
}

// rowCounter counts the rows of a text of one format.
type rowCounter interface {
	reset(*textRows)
	// feed reports whether the text can still be of the format.
	feed(p []byte) bool
	// end is not ok when the text is not of the format.
	end() (found rowsFound, ok bool)
}

// rowsFound is what a rowCounter makes of a text.
type rowsFound struct {
	rows    int64
	columns int64 // of CSV and TSV
	other   bool  // there is more in the text than the rows
}

// fits reports whether that is what the modifier asks for.
func (f rowsFound) fits(modifier step) bool {
	if f.other && modifier.kind == stepMarkdown && modifier.name == "only" {
		return false
	}
	return modifier.kind == stepNDJSON || f.columns >= int64(modifier.index)
}

func newRowCounter(kind stepKind) rowCounter {
	switch kind {
	case stepCSV:
		return &csvRows{comma: ','}
	case stepTSV:
		return &csvRows{comma: '\t'}
	case stepMarkdown:
		return new(markdownRows)
	case stepHTML:
		return new(htmlRows)
	case stepYAML:
		return new(yamlRows)
	}
	return new(verticalRows)
}
