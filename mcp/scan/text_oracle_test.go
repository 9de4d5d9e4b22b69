package scan

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/html"
)

var integer = regexp.MustCompile(`^[0-9]+(\.0+)?$`)

// expectFacts reads the side of a rule that begins with root off a whole
// document, with gjson and plain readers of the other formats.
func expectFacts(document string, e *Extractor, root string) (f Facts) {
	over := false
	for _, t := range e.tables {
		found, long := false, false
		for _, p := range t.parts {
			names, tooLong, known := expectNames(document, p.path)
			switch {
			case p.path.root != root || found:
			case tooLong:
				long = true
			case known:
				found = true
				for _, name := range names {
					if !slices.Contains(f.Tables, name) {
						f.Tables = append(f.Tables, name)
					}
				}
			}
		}
		over = over || long && !found
	}
	if over || len(f.Tables) > 64 {
		f.Tables = nil
	}
	for _, t := range e.records {
		sum, known, here := int64(0), true, false
		for _, p := range t.parts {
			if p.path.root == root {
				here = true
				n, ok := expectNumber(document, p.path)
				known = known && ok && n <= math.MaxInt64-sum
				sum += n
			}
		}
		if here && known {
			f.Records, f.RecordsKnown = sum, true
			return f
		}
	}
	return f
}

// expectNames returns the tables at a path, which are known if there are any.
func expectNames(document string, p Path) (names []string, tooLong, known bool) {
	v := expectValue(document, p.text)
	vs := []gjson.Result{v}
	if v.IsArray() {
		vs = v.Array()
	}
	for _, v := range vs {
		switch {
		case v.Type != gjson.String || v.Str == "":
		case len(v.Str) > 256:
			tooLong = true
		case utf8.ValidString(v.Str) && !slices.Contains(names, v.Str):
			names = append(names, v.Str)
		}
	}
	return names, tooLong || len(names) > 64, len(names) > 0
}

// expectNumber returns the number, or the sum of the numbers, at a path.
func expectNumber(document string, p Path) (sum int64, known bool) {
	each := p.each()
	if each < 0 {
		return oneNumber(document, p.root, p.steps)
	}
	array := gjson.Get(document, gjsonPath(p.root, p.steps[:each]))
	before := p.steps[:each]
	if at := slices.IndexFunc(before, func(st step) bool { return st.kind.isModifier() }); at >= 0 {
		text, ok := expectText(gjson.Get(document, gjsonPath(p.root, before[:at])), before[at:at+1])
		if !ok || !gjson.Valid(text) {
			return 0, false
		}
		array = gjson.Parse(text)
		if at+1 < len(before) {
			if !array.IsObject() && !array.IsArray() {
				return 0, false
			}
			array = gjson.Get(text, gjsonPath("", before[at+1:]))
		}
	}
	if !array.IsArray() {
		return 0, false
	}
	elements, after := array.Array(), p.steps[each+1:]
	if !p.modifiesEach() {
		known = true
		for _, v := range elements {
			n, ok := oneNumber(`{"e":`+v.Raw+`}`, "e", after)
			known = known && ok && n <= math.MaxInt64-sum
			sum += n
		}
		return sum, known
	}
	at := slices.IndexFunc(after, func(st step) bool { return st.kind.isModifier() })
	bad, least := false, int64(0)
	if lines := after[max(0, len(after)-2)]; lines.kind == stepNDJSON {
		// Of NDJSON the lines of all texts together have to be enough.
		least, lines.index = int64(lines.index), 0
		after = append(slices.Clone(after[:len(after)-2]), lines, after[len(after)-1])
		known = len(elements) == 0 && least == 0
	}
	for _, v := range elements {
		raw := `{"e":` + v.Raw + `}`
		if !gjson.Get(raw, gjsonPath("e", after[:at])).Exists() {
			continue
		}
		n, ok := oneNumber(raw, "e", after)
		bad, known = bad || !ok || n > math.MaxInt64-sum, true
		sum += n
	}
	return sum, known && !bad && sum >= least
}

// gjsonPath writes steps as gjson takes them.
func gjsonPath(root string, steps []step) string {
	names := []string{root}
	if root == "" {
		names = nil
	}
	for _, st := range steps {
		name := "#"
		if st.kind == stepInto {
			name = strings.NewReplacer(`.`, `\.`, `|`, `\|`, `*`, `\*`, `?`, `\?`, `#`, `\#`, `@`, `\@`, `!`, `\!`, `{`, `\{`, `[`, `\[`, `\`, `\\`).Replace(st.name)
		}
		names = append(names, name)
	}
	return strings.Join(names, ".")
}

// oneNumber reads the number at steps below root.
func oneNumber(document, root string, steps []step) (int64, bool) {
	at := slices.IndexFunc(steps, func(st step) bool { return st.kind.isModifier() })
	if at < 0 {
		v := gjson.Get(document, gjsonPath(root, steps))
		if v.Type != gjson.Number || !integer.MatchString(v.Raw) {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.Split(v.Raw, ".")[0], 10, 64)
		return n, err == nil
	}
	last := at
	for steps[last].kind.within() {
		last++
	}
	text, ok := expectText(gjson.Get(document, gjsonPath(root, steps[:at])), steps[at:last+1])
	if !ok {
		return 0, false
	}
	switch st := steps[last]; st.kind {
	case stepEmbedded:
		if text, ok = expectEmbedded(text); !ok {
			return 0, false
		}
		return oneNumber(`{"e":`+text+`}`, "e", steps[last+1:])
	case stepFromStr:
		if !gjson.Valid(text) {
			return 0, false
		}
		if rest := steps[last+1:]; len(rest) > 0 {
			if v := gjson.Parse(text); !v.IsObject() && !v.IsArray() {
				return 0, false
			}
			return oneNumber(`{"e":`+text+`}`, "e", rest)
		}
		return oneNumber(`{"e":`+text+`}`, "e", nil)
	case stepCSV:
		return expectCSV(text, st.index)
	case stepTSV:
		return expectTSV(text, st.index)
	case stepMarkdown:
		return expectMarkdown(text, st.name == "only")
	case stepNDJSON:
		return expectNDJSON(text, st.index)
	case stepHTML:
		return expectHTML(text)
	case stepYAML:
		return expectYAML(text)
	default:
		json, ok := expectPython(text)
		if !ok {
			return 0, false
		}
		return oneNumber(`{"e":`+json+`}`, "e", steps[last+1:])
	}
}

// expectText is the text that the steps narrow v down to.
func expectText(v gjson.Result, steps []step) (string, bool) {
	text := v.Str
	if v.Type != gjson.String {
		return "", false
	}
	for _, st := range steps {
		if !st.kind.within() {
			break
		}
		part, found, inside, edge := "", 0, false, ""
		for _, line := range strings.SplitAfter(text, "\n") {
			place := &textPart{kind: st.kind, tag: st.name}
			bare := strings.TrimRight(line, " \t\r\n")
			short := len(line) <= maxEdge
			switch {
			case short && inside && place.ends(edge, bare):
				inside = false
			case short && !inside && place.begins(bare):
				inside, edge = true, bare
				found++
			case inside:
				part += line
			}
		}
		if text = part; found != 1 || inside {
			return "", false
		}
	}
	return text, true
}

func expectCSV(text string, columns int) (int64, bool) {
	r := csv.NewReader(strings.NewReader(text))
	all, err := r.ReadAll()
	body := strings.TrimRight(text, "\r\n")
	if err != nil || len(all) < 2 || len(all[0]) < columns || strayCR(text) || emptyLine(body) || len(all[0]) == 1 && (emptyLine(text) || text != body && body == "") {
		return 0, false
	}
	return int64(len(all) - 1), true
}

// strayCR reports whether a CR outside quotes stands before something but LF.
func strayCR(text string) bool {
	quoted := false
	for i, c := range []byte(text) {
		quoted = quoted != (c == '"')
		if c == '\r' && !quoted && i+1 < len(text) && text[i+1] != '\n' {
			return true
		}
	}
	return false
}

// emptyLine reports whether a line outside quotes is empty.
func emptyLine(text string) bool {
	quoted, begin := false, true
	for _, c := range []byte(text) {
		quoted = quoted != (c == '"')
		if c == '\n' && !quoted && begin {
			return true
		}
		begin = !quoted && (c == '\n' || begin && c == '\r')
	}
	return false
}

func expectTSV(text string, columns int) (int64, bool) {
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	if strayCR(strings.ReplaceAll(text, `"`, "")) || lines[0] == "" {
		return 0, false
	}
	fields := strings.Count(lines[0], "\t") + 1
	for _, line := range lines {
		if strings.Trim(line, "\r") == "" || strings.Count(line, "\t")+1 != fields {
			return 0, false
		}
	}
	if fields == 1 && (strings.Contains(text, "\n\n") || strings.Contains(text, "\n\r\n")) {
		return 0, false
	}
	return int64(len(lines) - 1), fields >= columns && len(lines) > 1
}

func expectNDJSON(text string, atLeast int) (n int64, ok bool) {
	for _, line := range strings.Split(text, "\n") {
		line = strings.Trim(line, " \t\r")
		if line == "" {
			continue
		}
		if !gjson.Valid(line) || line[0] != '{' && line[0] != '[' {
			return 0, false
		}
		n++
	}
	return n, n >= int64(atLeast)
}

// expectPython reads what repr writes of a list or a dict, and writes it as
// JSON with nulls where JSON has no such value. It descends, and looks at the
// whole text.
func expectPython(text string) (json string, ok bool) {
	r := &reprReader{text: strings.Trim(text, " \t\r\n")}
	if r.text == "" || r.text[0] != '[' && r.text[0] != '{' {
		return "", false
	}
	json = r.value(false)
	return json, !r.bad && r.text == ""
}

type reprReader struct {
	text string
	bad  bool
}

func (r *reprReader) skip(token string) bool {
	r.text = strings.TrimLeft(r.text, " \t\r\n")
	rest, ok := strings.CutPrefix(r.text, token)
	if ok {
		r.text = rest
	}
	return ok
}

var (
	reprString = regexp.MustCompile(`^(?s:'(?:[^'\\\x00-\x1f]|\\(?:[\\'nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*'|"(?:[^"\\\x00-\x1f]|\\(?:[\\'nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*")`)
	reprNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?`)
	reprWord   = regexp.MustCompile(`^[-0-9A-Za-z_.\x80-\x{10ffff}]+`)
	reprEscape = regexp.MustCompile(`\\(?:[\\'nrt]|x..|u....|U........)`)
)

// items reads values up to a closing token and returns how many.
func (r *reprReader) items(closing string, each func(string)) (n int, comma bool) {
	for !r.bad {
		if r.skip(closing) {
			return n, comma
		}
		if n > 0 && !comma {
			r.bad = true
			break
		}
		each(r.value(false))
		n++
		comma = r.skip(",")
	}
	return n, comma
}

func (r *reprReader) value(inCall bool) string {
	r.skip("")
	if r.text == "" {
		r.bad = true
		return ""
	}
	var parts []string
	add := func(json string) { parts = append(parts, json) }
	switch {
	case r.skip("["):
		_, comma := r.items("]", add)
		r.bad = r.bad || comma
		return "[" + strings.Join(parts, ",") + "]"
	case r.skip("("):
		n, comma := r.items(")", add)
		r.bad = r.bad || comma != (n == 1)
		return "[" + strings.Join(parts, ",") + "]"
	case r.skip("{"):
		return r.dict()
	}
	if r.text[0] == 'b' && len(r.text) > 1 && strings.ContainsRune(`'"`, rune(r.text[1])) {
		r.text = r.text[1:]
	}
	if s := reprString.FindString(r.text); s != "" {
		r.text = r.text[len(s):]
		r.bad = r.bad || s[0] == '"' && !strings.Contains(s, "'") || !strings.ContainsRune(",:]}) \t\r\n", first(r.text))
		return reprJSON(s)
	}
	word := reprWord.FindString(r.text)
	rest := strings.TrimPrefix(r.text, word)
	name := word != "" && word[0] != '-' && (word[0] < '0' || word[0] > '9')
	switch {
	case name && strings.HasPrefix(rest, "("):
		r.text = rest[1:]
		r.call()
		return "null"
	case word == "None" || word == "inf" || word == "-inf" || word == "nan":
		r.text = rest
		return "null"
	case word == "True" || word == "False":
		r.text = rest
		return strings.ToLower(word)
	case inCall && name && strings.Contains(word, "."):
		r.text = rest
		return "null"
	}
	number := reprNumber.FindString(r.text)
	r.bad = r.bad || number == ""
	r.text = r.text[len(number):]
	if r.text == "" || !strings.ContainsRune(",:]}) \t\r\n", rune(r.text[0])) {
		r.bad = true
	}
	return number
}

func first(s string) rune {
	for _, c := range s {
		return c
	}
	return 0
}

// call reads the arguments of a call.
func (r *reprReader) call() {
	n, comma := 0, false
	for !r.bad {
		if r.skip(")") {
			r.bad = comma
			return
		}
		if n > 0 && !comma {
			r.bad = true
			return
		}
		r.skip("")
		word := reprWord.FindString(r.text)
		if rest := r.text[len(word):]; word != "" && word[0] != '-' && (word[0] < '0' || word[0] > '9') && strings.HasPrefix(rest, "=") {
			r.text = rest[1:]
		}
		r.value(true)
		n++
		comma = r.skip(",")
	}
}

func (r *reprReader) dict() string {
	var members []string
	isDict, comma := false, false
	for n := 0; !r.bad; n++ {
		if r.skip("}") {
			r.bad = comma
			break
		}
		if n > 0 && !comma {
			r.bad = true
			break
		}
		key := r.value(false)
		if !strings.HasPrefix(key, `"`) {
			key = `"?"`
		}
		colon := r.skip(":")
		if n == 0 {
			isDict = colon
		}
		value := "0"
		if r.bad = r.bad || colon != isDict; colon && !r.bad {
			value = r.value(false)
		}
		members = append(members, key+":"+value)
		comma = r.skip(",")
	}
	return "{" + strings.Join(members, ",") + "}"
}

// reprJSON spells a string of Python's in JSON.
func reprJSON(s string) string {
	s = reprEscape.ReplaceAllStringFunc(s[1:len(s)-1], func(escape string) string {
		switch escape[1] {
		case 'n':
			return "\n"
		case 'r':
			return "\r"
		case 't':
			return "\t"
		case '\\', '\'':
			return escape[1:]
		}
		code, _ := strconv.ParseUint(escape[2:], 16, 32)
		return string(rune(code))
	})
	spelled, _ := json.Marshal(s)
	return string(spelled)
}

var (
	markdownFence     = regexp.MustCompile("^ {0,3}(```+[^`]*|~~~+.*)$")
	markdownDelimiter = regexp.MustCompile(`^ {0,3}\|?[ \t\r]*:?-+:?[ \t\r]*(\|[ \t\r]*:?-+:?[ \t\r]*)*\|?[ \t\r]*$`)
)

// expectMarkdown reads a text line by line.
func expectMarkdown(text string, only bool) (rows int64, ok bool) {
	lines := strings.Split(text, "\n")
	cells := func(line string) int {
		line = strings.Trim(line, " \t\r")
		line = strings.ReplaceAll(strings.ReplaceAll(line, `\\`, "xx"), `\|`, "xx")
		if line == "|" {
			return 1
		}
		return strings.Count(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|") + 1
	}
	pipe := func(line string) bool {
		return strings.Contains(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, "xx"), `\|`, "xx"), "|")
	}
	indented := func(line string) bool {
		bare := strings.TrimLeft(line, " \t\r")
		lead := line[:len(line)-len(bare)]
		return strings.Count(lead, " ")+4*strings.Count(lead, "\t") >= 4
	}
	tables, other := 0, false
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		bare := strings.Trim(line, " \t\r")
		if bare == "" {
			continue
		}
		if fence := markdownFence.FindString(strings.TrimRight(line, " \t\r")); fence != "" && !indented(line) {
			open, _ := cutFence(strings.TrimRight(fence, " \t\r"))
			other = true
			for i++; i < len(lines); i++ {
				closing, info := cutFence(strings.TrimRight(lines[i], " \t\r"))
				if info == "" && strings.HasPrefix(closing, open) {
					break
				}
			}
			continue
		}
		header := pipe(line) && !indented(line) && bare[0] != '>' && bare[0] != '#'
		if i+1 < len(lines) && header && pipe(lines[i+1]) && markdownDelimiter.MatchString(lines[i+1]) && cells(line) == cells(lines[i+1]) {
			tables++
			for i += 2; i < len(lines) && strings.Trim(lines[i], " \t\r") != ""; i++ {
				if fence := markdownFence.FindString(strings.TrimRight(lines[i], " \t\r")); fence != "" && !indented(lines[i]) {
					i--
					break
				}
				if !pipe(lines[i]) || indented(lines[i]) {
					return 0, false
				}
				rows++
			}
			continue
		}
		other = true
	}
	if only && (other || !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "|")) {
		return 0, false
	}
	return rows, tables > 0
}

// expectValue is gjson.Get, but for what Path says of @fromstr.
func expectValue(document, path string) gjson.Result {
	outer, inner, found := strings.Cut(path, "@fromstr")
	if !found {
		return gjson.Get(document, path)
	}
	v := gjson.Get(document, strings.TrimRight(outer, ".|"))
	if v.Type != gjson.String || !gjson.Valid(v.Str) {
		return gjson.Result{}
	}
	if inner == "" {
		return gjson.Parse(v.Str)
	}
	if root := gjson.Parse(v.Str); !root.IsObject() && !root.IsArray() {
		return gjson.Result{}
	}
	return gjson.Get(v.Str, inner[1:])
}

// expectEmbedded finds the one object or array in a text that begins a line and
// ends one.
func expectEmbedded(text string) (string, bool) {
	found, lines := "", strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimLeft(lines[i], " \t\r\n")
		if i == 0 && line != "" && strings.ContainsRune(`"-0123456789tfn`, rune(line[0])) {
			continue // a string may hold brackets, but no lines
		}
		if !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "[") {
			continue
		}
		if found != "" {
			return "", false
		}
		before := strings.TrimRight(strings.Join(lines[:i], ""), " \t\r\n")
		if before != "" && !strings.HasSuffix(before, ":") {
			return "", false
		}
		rest := strings.Join(lines[i:], "")
		d := json.NewDecoder(strings.NewReader(rest))
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return "", false
		}
		behind := rest[d.InputOffset():]
		line, _, _ = strings.Cut(behind, "\n")
		if strings.Trim(line, " \t\r") != "" {
			return "", false
		}
		found = string(value)
		i += strings.Count(rest[:d.InputOffset()], "\n")
	}
	return found, found != ""
}

// expectHTML counts the rows of tables with the tokenizer of x/net.
func expectHTML(text string) (rows int64, ok bool) {
	z := html.NewTokenizer(strings.NewReader(text))
	tables, in, row, cell := 0, false, false, false
	end := func() {
		if row && cell {
			rows++
		}
		row, cell = false, false
	}
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return rows, errors.Is(z.Err(), io.EOF) && tables > 0 && !in && len(z.Raw()) == 0
		case html.CommentToken, html.DoctypeToken:
			return 0, false
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			name, _ := z.TagName()
			closing := kind == html.EndTagToken
			switch string(name) {
			case "table":
				if in != closing {
					return 0, false
				}
				end()
				if in = !closing; in {
					tables++
				}
			case "tr":
				if !in || closing && !row {
					return 0, false
				}
				end()
				row = !closing
			case "td", "th":
				if !closing && !row {
					return 0, false
				}
				cell = cell || !closing && string(name) == "td"
			case "tfoot", "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "template", "plaintext", "noscript":
				if !closing {
					return 0, false
				}
			}
		}
	}
}

// expectYAML reads a sequence with a parser of YAML.
func expectYAML(text string) (rows int64, ok bool) {
	var items []any
	d := yaml.NewDecoder(strings.NewReader(text))
	if d.Decode(&items) != nil || !errors.Is(d.Decode(new(any)), io.EOF) {
		return 0, false
	}
	return int64(len(items)), true
}
