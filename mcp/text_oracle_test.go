package mcp

import (
	"encoding/csv"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
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
	bad := false
	for _, v := range elements {
		raw := `{"e":` + v.Raw + `}`
		if !gjson.Get(raw, gjsonPath("e", after[:at])).Exists() {
			continue
		}
		n, ok := oneNumber(raw, "e", after)
		bad, known = bad || !ok || n > math.MaxInt64-sum, true
		sum += n
	}
	return sum, known && !bad
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
	default:
		return expectPython(text)
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
	if err != nil || len(all) == 0 || len(all[0]) < columns || strayCR(text) || emptyLine(body) || len(all[0]) == 1 && (emptyLine(text) || text != body && body == "") {
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
	return int64(len(lines) - 1), fields >= columns
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

var (
	pythonString = regexp.MustCompile(`'(?:[^'\\\n]|\\[^\n])*'|"(?:[^"\\\n]|\\[^\n])*"`)
	pythonInner  = regexp.MustCompile(`[(\[{][^()\[\]{}]*[)\]}]`)
)

// expectPython counts a list by taking strings and brackets out from the inside.
func expectPython(text string) (int64, bool) {
	text = strings.Trim(text, " \t\r\n")
	if i := strings.IndexAny(text, `'"`); i >= 0 && text[i] == '"' {
		return 0, false
	}
	text = pythonString.ReplaceAllString(text, "s")
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' || strings.ContainsAny(text, `'"`) {
		return 0, false
	}
	text = text[1 : len(text)-1]
	for {
		less := pythonInner.ReplaceAllString(text, "b")
		if less == text {
			break
		}
		text = less
	}
	if strings.ContainsAny(text, "()[]{}") {
		return 0, false
	}
	if strings.Trim(text, " \t\r\n") == "" {
		return 0, true
	}
	parts := strings.Split(text, ",")
	for _, part := range parts {
		if strings.Trim(part, " \t\r\n") == "" {
			return 0, false
		}
	}
	return int64(len(parts)), true
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
