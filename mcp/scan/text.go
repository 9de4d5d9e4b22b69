package scan

// textNode is a node inside a string: the targets that are in the text.
type textNode struct {
	values [stepPython + 1]textValue // by the modifier that parses the text as a value
	rows   []textRows                // by format
	lines  []int                     // targets that count the lines of NDJSON
	parts  []textPart                // by part of the text
	words  []int                     // targets that are numbers in words
	query  []int                     // targets that are the tables of a query
	all    []int                     // all of these targets
}

// textValue is the plan for a text that is a value, or contains one. The zero
// textValue has no targets.
type textValue struct {
	node    *node
	targets []int
}

// textRows are the targets that count rows of one format.
type textRows struct {
	kind    stepKind
	only    bool // Markdown: all of the targets require a text without anything else
	targets []int
}

// textPart is the plan for a part of the text.
type textPart struct {
	kind stepKind
	tag  string
	text *textNode
}

// compileText returns the node of a text. The suffixes begin with a modifier.
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

// textReader follows a text along a textNode, chunk by chunk. Call begin, feed
// for each chunk, and end. Whether the text is of a format is known at its end;
// if it is not, the targets of that format are unknown.
type textReader struct {
	matches *matches
	node    *textNode

	wantsJSON bool
	json      jsonText
	python    pythonText
	isPython  bool // the text may still be Python
	documents [stepPython + 1]document
	rows      []rowCounter // by index of node.rows; nil if the text is not of that format
	parts     []*partReader
	kept      []byte // the text so far, if it is a query or a sentence
	words     words
	over      bool // the text is too long for that

	counters [stepVertical + 1]rowCounter // reused for rows
	memory   []*partReader                // of parts
}

func (r *textReader) begin(m *matches, node *textNode) {
	r.matches, r.node, r.wantsJSON = m, node, node.wantsJSON()
	for kind := range node.values {
		if v := &node.values[kind]; v.node != nil {
			r.documents[kind].begin(m, v.node)
		}
	}
	if r.wantsJSON {
		r.json.begin(!m.habit.repeats())
	}
	if r.isPython = node.values[stepPython].node != nil; r.isPython {
		r.python.begin()
	}
	r.rows = r.rows[:0]
	for i := range node.rows {
		kind := node.rows[i].kind
		if r.counters[kind] == nil {
			r.counters[kind] = newRowCounter(kind)
		}
		r.counters[kind].reset(&node.rows[i])
		r.rows = append(r.rows, r.counters[kind])
	}
	r.parts = r.parts[:0]
	for i := range node.parts {
		if i == len(r.memory) {
			r.memory = append(r.memory, new(partReader))
		}
		r.memory[i].begin(m, &node.parts[i])
		r.parts = append(r.parts, r.memory[i])
	}
	r.kept, r.over = r.kept[:0], false
}

// feed reads a chunk and reports whether the rest of the text can still matter.
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

// document returns the document that reads a value of that kind, or nil if there
// are no targets in it.
func (r *textReader) document(kind stepKind) *document {
	if r.node.values[kind].node == nil {
		return nil
	}
	return &r.documents[kind]
}

// keep stores a short text that is read at its end, as a query or a sentence. It
// reports whether more of the text can matter.
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

// end is called after the text, or as soon as nothing more can be learned from
// it.
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

// endValue is called at the end of a text that may be a value, or contain one.
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

// endRows gives a number of rows to the targets that count them, unless !ok.
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

// endWords is called at the end of a text that may give a number in words.
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

// rowCounter counts the rows of a text in one format.
type rowCounter interface {
	reset(*textRows)
	// feed reads a chunk and reports whether the text may still be of the format.
	feed(p []byte) bool
	// end returns the rows. It is not ok if the text is not of the format.
	end() (found rowsFound, ok bool)
}

// rowsFound is what a rowCounter has found in a text.
type rowsFound struct {
	rows    int64
	columns int64 // for CSV and TSV
	other   bool  // the text has more than the rows
}

// fits reports whether the rows meet the argument of the modifier.
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
