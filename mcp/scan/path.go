package scan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tallygate/tallygate/mcp/sql"
)

// Path is the position of a value in a call's arguments or its result. The
// syntax is the subset of gjson's that can be followed in one pass without
// buffering, plus modifiers for the formats that tools put into texts:
//
//	arguments.table                               a member of a member
//	result.content.0.text                         an element of an array, from 0
//	result.structuredContent.rows.#               the number of an array's elements
//	result.structuredContent.tables.#.name        each element's name
//	result.structuredContent.meta\.data           \ takes the next character as it is
//	result.content.0.text|@fromstr|rows.#         inside the JSON that a text is
//	result.content.0.text|@csv|#                  the rows of a text of that format
//	result.content.0.text|@fenced|@markdown|#     the same inside a part of the text
//	result.content.0.text|@python|0.n             inside the Python that a text is
//	arguments.query|@sql                          the tables that a query names
//
// It begins with arguments (of the request's params) or result (of the reply).
// A modifier applies to a string, and finds nothing in any other value:
//
//	@fromstr     the one JSON value that the text is, from end to end
//	@embedded    the one JSON object or array that begins a line and ends one,
//	             whatever other lines are around it; a text without one is skipped
//	@python      the Python list or dict that the text is, as repr writes it
//	@fenced      the inside of the text's one fenced code block (```)
//	@tagged:X    the lines between <X> and </X>, the one such part of the text;
//	             the name of the tag may be longer than X
//	@csv         comma-separated values with a header line (RFC 4180); @csv:N:
//	             at least N columns, 2 unless said
//	@tsv         tab-separated values with a header line; @tsv:N likewise
//	@markdown    the tables of a Markdown text (GFM); @markdown:only: it begins
//	             with | and has nothing else
//	@ndjson      a JSON object or array on each line; @ndjson:N: at least N
//	             lines, in all texts of a sum together
//	@html        the tables of an HTML text
//	@yaml        a YAML sequence of mappings, sequences or flows, in block style
//	@vertical    rows one below the other, each after a line "N. row"
//	@affected    a short text that says how many rows a statement affected
//	@norows      a short text that says that there are no rows: 0
//	@sql         a query, of whatever dialect; @sql:D: of the dialect D
//
// After @csv, @tsv, @markdown, @ndjson, @html, @yaml and @vertical, the path
// ends in #: the number of rows, without the header. After @affected, @norows
// and @sql the path ends; @sql is for arguments only. After the others it goes
// on; @fenced and @tagged need another modifier.
//
// A # that is not the last component goes through each element of an array.
// There can be one, and in a sum two. If an object has a name twice, the first
// that leads to the end of the path counts. Before a modifier, or before the #
// of a sum, only the first is tried.
//
// It differs from gjson where gjson guesses: @fromstr finds nothing in a value
// that is not a string, or in a text that is not one JSON value from end to end,
// and # is for arrays only.
type Path struct {
	text  string
	root  string
	steps []step // below root
}

// The roots that a path can have.
const (
	rootArguments = "arguments"
	rootResult    = "result"
)

// Caps on a path. They bound the state of a scanner.
const (
	maxSteps = 32
	maxName  = 256 // bytes of a member's name
	maxTexts = 4   // modifiers
)

// step is one component of a path.
type step struct {
	kind  stepKind
	name  string // of a member, for stepInto; a modifier's argument
	index int    // name as the index of an array, or -1; a modifier's number
}

type stepKind uint8

const (
	stepInto stepKind = iota // a member by name or an element by index
	stepEach                 // #: every element, or their number at the path's end

	stepFromStr // the path goes on inside the value that the text is
	stepEmbedded
	stepPython

	stepFenced // the path goes on inside a part of the text
	stepTagged

	stepCSV // counts rows
	stepTSV
	stepMarkdown
	stepNDJSON
	stepHTML
	stepYAML
	stepVertical

	stepAffected // reads a number from a sentence
	stepNoRows

	stepSQL
)

// modifiers are the names after @.
var modifiers = map[string]stepKind{
	"fromstr": stepFromStr, "embedded": stepEmbedded, "python": stepPython,
	"fenced": stepFenced, "tagged": stepTagged,
	"csv": stepCSV, "tsv": stepTSV, "markdown": stepMarkdown, "ndjson": stepNDJSON,
	"html": stepHTML, "yaml": stepYAML, "vertical": stepVertical,
	"affected": stepAffected, "norows": stepNoRows, "sql": stepSQL,
}

func (k stepKind) isModifier() bool { return k >= stepFromStr }
func (k stepKind) countsRows() bool { return k >= stepCSV && k <= stepVertical }

// isValue reports whether the step parses the text as a value, inside which the
// path goes on.
func (k stepKind) isValue() bool { return k >= stepFromStr && k <= stepPython }

// isWords reports whether the step reads a number out of a sentence.
func (k stepKind) isWords() bool { return k == stepAffected || k == stepNoRows }

// within reports whether the step selects a part of the text, for another
// modifier.
func (k stepKind) within() bool { return k == stepFenced || k == stepTagged }

// ParsePath parses a path. Its errors say what in s is not supported.
func ParsePath(s string) (Path, error) {
	p := Path{text: s}
	fail := func(format string, args ...any) (Path, error) {
		return Path{}, fmt.Errorf("path %q: "+format, append([]any{s}, args...)...)
	}
	root, rest, more := strings.Cut(s, ".")
	if pipe := strings.IndexByte(s, '|'); pipe >= 0 && pipe < len(root) {
		root, rest, more = s[:pipe], s[pipe+1:], true
	}
	if root != rootArguments && root != rootResult {
		return fail("it has to begin with arguments. or result.")
	}
	if !more || rest == "" {
		return fail("it ends where it should say what of the %s is meant", root)
	}
	p.root = root
	var last step // the one before the current one
	each, texts := 0, 0
	for sep := s[len(root)]; ; {
		st, n, err := parseStep(rest)
		if err != nil {
			return fail("%w", err)
		}
		end := n == len(rest)
		switch {
		case len(p.steps) == 0 && (st.kind.isModifier() || sep == '|'):
			return fail("it has to begin with arguments. or result. and a name")
		case last.kind.countsRows() && (st.kind != stepEach || !end):
			return fail("behind @%s stands # and the path ends", last.kind)
		case last.kind == stepSQL || last.kind.isWords():
			return fail("behind @%s the path ends", last.kind)
		case last.kind.within() && !st.kind.isModifier():
			return fail("behind @%s stands what is in that text: @fromstr, @csv or the like", last.kind)
		case sep == '|' && !st.kind.isModifier() && !last.kind.isModifier():
			return fail("| stands before and after a modifier only; use . instead")
		case st.kind.countsRows() && end:
			return fail("@%s gives rows; their number is @%[2]s|#", st.kind)
		case st.kind == stepSQL && root != rootArguments:
			return fail("@sql is for arguments")
		case st.kind.isWords() && root != rootResult:
			return fail("@%s is for results", st.kind)
		}
		if st.kind.isModifier() {
			if texts++; texts > maxTexts {
				return fail("more than %d modifiers", maxTexts)
			}
		}
		if st.kind == stepEach && !end {
			if each++; each > 2 {
				return fail("there can be two # that go through elements, and no more")
			}
		}
		if p.steps = append(p.steps, st); len(p.steps) > maxSteps {
			return fail("more than %d components", maxSteps)
		}
		if end {
			return p, nil
		}
		last, sep, rest = st, rest[n], rest[n+1:]
	}
}

func (k stepKind) String() string {
	for word, kind := range modifiers {
		if kind == k {
			return word
		}
	}
	return "#"
}

// parseStep parses the component at the beginning of s, up to a . or |, and
// returns its length.
func parseStep(s string) (st step, n int, err error) {
	if s == "" || s[0] == '.' || s[0] == '|' {
		return step{}, 0, fmt.Errorf("a component is empty")
	}
	switch s[0] {
	case '[', '{', '!':
		return step{}, 0, fmt.Errorf(`a component begins with %c, which gjson uses for what cannot be followed in a stream; for a name, write \%c`, s[0], s[0])
	case '@':
		word := s
		if i := strings.IndexAny(s, ".|"); i >= 0 {
			word = s[:i]
		}
		name, arg, given := strings.Cut(word[1:], ":")
		if kind, ok := modifiers[name]; ok {
			st, err := parseModifier(kind, arg, given)
			return st, len(word), err
		}
		if gjson.ModifierExists(name, nil) {
			return step{}, 0, fmt.Errorf(`the modifier @%s cannot be followed in a stream; for a name, write \@%[1]s`, name)
		}
	case '#':
		if len(s) > 1 && (s[1] == '(' || s[1] == '[') {
			return step{}, 0, fmt.Errorf(`queries (#%c…) cannot be followed in a stream; for a name, write \#`, s[1])
		}
	}
	name := make([]byte, 0, 32)
scan:
	for ; n < len(s); n++ {
		switch s[n] {
		case '.', '|':
			break scan
		case '*', '?':
			return step{}, 0, fmt.Errorf(`the wildcard %c cannot be followed in a stream; for a name, write \%[1]c`, s[n])
		case '\\':
			if n++; n == len(s) {
				return step{}, 0, fmt.Errorf(`a \ at the end takes no character`)
			}
		}
		name = append(name, s[n])
	}
	if len(name) > maxName {
		return step{}, 0, fmt.Errorf("a name is longer than %d bytes", maxName)
	}
	if s[:n] == "#" {
		return step{kind: stepEach, index: -1}, n, nil
	}
	st = step{kind: stepInto, name: string(name), index: -1}
	if i, err := strconv.ParseUint(s[:n], 10, 64); err == nil && i <= math.MaxInt32 {
		st.index = int(i)
	}
	return st, n, nil
}

// parseModifier parses the argument of a modifier. given is false if there is
// none.
func parseModifier(kind stepKind, arg string, given bool) (step, error) {
	st := step{kind: kind, index: -1}
	switch kind {
	case stepTagged:
		if !isTag(arg) || len(arg) > maxTag {
			return st, fmt.Errorf("@tagged takes a tag's name of letters, digits, - and _, at most %d, as in @tagged:data", maxTag)
		}
		st.name = arg
		return st, nil
	case stepMarkdown:
		if given && arg != "only" {
			return st, fmt.Errorf("@markdown takes no argument but only")
		}
		st.name = arg
		return st, nil
	case stepSQL:
		if given && !slices.Contains(sql.Dialects(), arg) {
			return st, fmt.Errorf("@sql knows no dialect %q; it knows %s", arg, strings.Join(sql.Dialects(), ", "))
		}
		st.name = arg
		return st, nil
	case stepCSV, stepTSV:
		st.index = 2
	case stepNDJSON, stepHTML, stepYAML, stepVertical:
		st.index = 0
		if given && kind != stepNDJSON {
			return st, fmt.Errorf("@%s takes no argument", kind)
		}
	default:
		if given {
			return st, fmt.Errorf("@%s takes no argument", kind)
		}
		return st, nil
	}
	if given {
		n, err := strconv.ParseUint(arg, 10, 16)
		if err != nil || n == 0 {
			return st, fmt.Errorf("@%s takes a number from 1 to %d, not %q", kind, math.MaxUint16, arg)
		}
		st.index = int(n)
	}
	return st, nil
}

// String returns the path as it was written.
func (p Path) String() string { return p.text }

// counts reports whether the path ends in #, the number of an array's elements.
func (p Path) counts() bool {
	return len(p.steps) > 0 && p.steps[len(p.steps)-1].kind == stepEach
}

// several reports whether the path gives several values, because it goes through
// every element of an array.
func (p Path) several() bool { return p.each() >= 0 }

// each returns the index of the first step through every element, or -1.
func (p Path) each() int {
	for i, st := range p.steps {
		if st.kind == stepEach && i < len(p.steps)-1 {
			return i
		}
	}
	return -1
}

// nests reports whether the path goes through the elements of arrays within the
// elements of another.
func (p Path) nests() bool {
	i := p.each()
	return i >= 0 && slices.ContainsFunc(p.steps[i+1:len(p.steps)-1], func(st step) bool { return st.kind == stepEach })
}

// modifiesEach reports whether a modifier comes after the step through every
// element.
func (p Path) modifiesEach() bool {
	i := p.each()
	return i >= 0 && slices.ContainsFunc(p.steps[i:], func(st step) bool { return st.kind.isModifier() })
}

// isContent reports whether the path is the number of content blocks of the
// result.
func (p Path) isContent() bool {
	return p.root == rootResult && len(p.steps) == 2 && p.steps[0].name == "content"
}

// countsLines reports whether the path is the number of lines of NDJSON.
func (p Path) countsLines() bool {
	n := len(p.steps)
	return n > 1 && p.steps[n-2].kind == stepNDJSON
}

// minLines returns how many lines of NDJSON the path requires, or 0 if it does
// not count lines.
func (p Path) minLines() int64 {
	if p.countsLines() {
		return int64(p.steps[len(p.steps)-2].index)
	}
	return 0
}

// isSQL reports whether the path is the tables of a query.
func (p Path) isSQL() bool {
	return len(p.steps) > 0 && p.steps[len(p.steps)-1].kind == stepSQL
}
