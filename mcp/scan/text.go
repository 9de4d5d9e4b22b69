package scan

// textNode is a node inside a string: all that is wanted of the text.
type textNode struct {
	values [stepPython + 1]textValue // by the modifier that takes the text for a value
	rows   []textRows                // of a format that counts rows
	lines  []int                     // targets that are the lines of NDJSON
	parts  []textPart                // of a part of the text
	words  []int                     // targets that the text says in words
	query  []int                     // targets that are the tables of the query that the text is
	all    []int                     // targets in all of these
}

// textValue is what is wanted of the value that a text is; the zero textValue
// is nothing.
type textValue struct {
	node    *node
	targets []int
}

type textRows struct {
	kind    stepKind
	only    bool // of Markdown: all want a text that has nothing else
	targets []int
}

type textPart struct {
	kind stepKind
	tag  string
	text *textNode
}

// compileText makes the node of a text that suffixes go into by a modifier.
func (p *plan) compileText(suffixes []pathSuffix) *textNode {
	t := &textNode{}
	var values [stepPython + 1][]pathSuffix
	for _, w := range suffixes {
		t.all = append(t.all, w.target)
		rest := pathSuffix{w.target, w.steps[1:]}
		switch st := w.steps[0]; {
		case st.kind.isValue():
			values[st.kind] = append(values[st.kind], rest)
			t.values[st.kind].targets = append(t.values[st.kind].targets, w.target)
		case st.kind == stepSQL:
			t.query = append(t.query, w.target)
		case st.kind.isWords():
			t.words = append(t.words, w.target)
		case st.kind == stepNDJSON:
			t.lines = append(t.lines, w.target)
		case st.kind.countsRows():
			t.addRows(st, w.target)
		case !t.hasPart(st):
			var same []pathSuffix
			for _, other := range suffixes {
				if o := other.steps[0]; o.kind == st.kind && o.name == st.name {
					same = append(same, pathSuffix{other.target, other.steps[1:]})
				}
			}
			t.parts = append(t.parts, textPart{st.kind, st.name, p.compileText(same)})
		}
	}
	for kind, suffixes := range values {
		if len(suffixes) > 0 {
			t.values[kind].node = p.compile(suffixes, nil)
		}
	}
	return t
}

func (t *textNode) addRows(st step, target int) {
	only := st.name == "only"
	for i := range t.rows {
		if r := &t.rows[i]; r.kind == st.kind {
			r.targets = append(r.targets, target)
			r.only = r.only && only
			return
		}
	}
	t.rows = append(t.rows, textRows{st.kind, only, []int{target}})
}

func (t *textNode) hasPart(st step) bool {
	for i := range t.parts {
		if t.parts[i].kind == st.kind && t.parts[i].tag == st.name {
			return true
		}
	}
	return false
}

func (t *textNode) wantsJSON() bool {
	return t.values[stepFromStr].node != nil || t.values[stepEmbedded].node != nil || len(t.lines) > 0
}

// textReader follows a text that comes in pieces, along a textPlace. What a
// text says is known when it has ended; of one that is not of the format that a
// path says, nothing is.
type textReader struct {
	matches *matches
	node    *textNode

	wantsJSON bool
	json      jsonText
	python    pythonText
	isPython  bool // the text can still be Python's
	documents [stepPython + 1]document
	rows      []rowCounter // of node.rows; nil: the text is not of that format
	parts     []*partReader
	kept      []byte // of a query, or of a text that says something in words
	words     words
	over      bool // it is longer than any that is read

	counters [stepVertical + 1]rowCounter // memory of rows
	memory   []*partReader                // of parts
}

func (r *textReader) begin(m *matches, place *textNode) {
	r.matches, r.node, r.wantsJSON = m, place, place.wantsJSON()
	for kind := range place.values {
		if v := &place.values[kind]; v.node != nil {
			r.documents[kind].begin(m, v.node)
		}
	}
	if r.wantsJSON {
		r.json.begin(!m.habit.repeats())
	}
	if r.isPython = place.values[stepPython].node != nil; r.isPython {
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
		r.memory[i].begin(m, &place.parts[i])
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
		r.matches.unchecked = r.matches.unchecked || r.json.unchecked
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
	if r.node.values[kind].node == nil {
		return nil
	}
	return &r.documents[kind]
}

// keep keeps a text that is read as a whole when it has ended.
func (r *textReader) keep(p []byte) (alive bool) {
	limit := maxWords
	if len(r.node.query) > 0 {
		limit = maxQuery
	} else if len(r.node.words) == 0 {
		return false
	}
	if r.over = r.over || len(r.kept)+len(p) > limit; !r.over {
		r.kept = append(r.kept, p...)
	}
	return len(r.node.query) > 0 || !r.over
}

// end is called behind the text, or where nothing of it can be known any more.
func (r *textReader) end() {
	for kind := range r.node.values {
		if v := &r.node.values[kind]; v.node != nil {
			r.endValue(stepKind(kind), v.targets)
		}
	}
	if len(r.node.lines) > 0 {
		found, ok := r.json.rows()
		r.endRows(r.node.lines, found, ok)
	}
	for i := range r.node.rows {
		var found rowsFound
		ok := false
		if counter := r.rows[i]; counter != nil {
			found, ok = counter.end()
		}
		r.endRows(r.node.rows[i].targets, found, ok)
	}
	for _, part := range r.parts {
		part.end()
	}
	if len(r.node.words) > 0 {
		r.endWords()
	}
	for _, w := range r.node.query {
		r.endQuery(w)
	}
}

// endValue is called behind a text that may be, or hold, a value.
func (r *textReader) endValue(kind stepKind, targets []int) {
	var is bool
	switch kind {
	case stepFromStr:
		is = r.json.isWhole()
	case stepEmbedded:
		if r.json.isProse() {
			r.matches.skipText(targets)
			return
		}
		is = r.json.isEmbedded()
	default:
		is = r.isPython && r.python.end()
	}
	if is && r.documents[kind].end() {
		r.matches.closeText(targets, NotFound)
		return
	}
	r.matches.discard(targets)
	r.matches.closeText(targets, WrongFormat)
}

func (r *textReader) endRows(targets []int, found rowsFound, ok bool) {
	for _, w := range targets {
		target := &r.matches.plan.targets[w]
		fits := found.fits(target.path.steps[len(target.path.steps)-2]) && (target.several || found.rows >= target.atLeast)
		if ok && fits && !r.matches.isClosed(w) {
			r.matches.addNumber(w, found.rows)
		}
	}
	r.matches.closeText(targets, WrongFormat)
}

// endWords is called behind a text that may say a number in words.
func (r *textReader) endWords() {
	if r.over {
		r.matches.skipText(r.node.words)
		return
	}
	r.words.read(r.kept)
	for _, w := range r.node.words {
		steps := r.matches.plan.targets[w].path.steps
		read := r.words.affected
		if steps[len(steps)-1].kind == stepNoRows {
			read = r.words.noRows
		}
		if n, ok := read(); !ok {
			r.matches.skipText([]int{w})
		} else if !r.matches.isClosed(w) {
			r.matches.addNumber(w, n)
			r.matches.closeAlternatives(w)
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
