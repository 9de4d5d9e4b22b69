package scan

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// term is one entry of a rule, as written:
//
//	result.rows.#            a path
//	=stock_daily             a constant
//	first(a, b, …)           the first of these that is known, for tables
//	sum(a, b, …)             the sum of these, for numbers
//
// Inside the brackets, and in a constant, \ escapes the next character.
type term struct {
	text     string
	parts    []part
	function string // "", "first" or "sum"
}

// part is a path or a constant of a term.
type part struct {
	path     Path
	constant string // if there is no path
}

// String returns the part as it would stand in a rule.
func (p part) String() string {
	if p.isConstant() {
		return "=" + strings.ReplaceAll(p.constant, `\`, `\\`)
	}
	return p.path.text
}

func (p part) isConstant() bool { return p.path.text == "" }

// maxParts is the largest number of paths and constants in a rule.
const maxParts = 128

// parseTerm parses a term. function is the one that is allowed here.
func parseTerm(s, function string) (term, error) {
	t := term{text: s}
	inside := []string{s}
	if name, rest, call := strings.Cut(s, "("); call && (name == "first" || name == "sum") {
		if name != function {
			return t, fmt.Errorf("%s(…) is not for this; here %s", name, map[string]string{
				"first": "every path counts, and first(…) takes the first that is known",
				"sum":   "the first path that is known counts, and sum(…) adds",
			}[function])
		}
		if !strings.HasSuffix(rest, ")") {
			return t, fmt.Errorf("%q: the bracket is not closed at the end", s)
		}
		t.function = name
		inside = splitEscaped(rest[:len(rest)-1])
	}
	for _, text := range inside {
		text = strings.TrimSpace(text)
		if constant, ok := strings.CutPrefix(text, "="); ok {
			t.parts = append(t.parts, part{constant: unescape(constant)})
			continue
		}
		p, err := ParsePath(text)
		if err != nil {
			return t, err
		}
		t.parts = append(t.parts, part{path: p})
	}
	return t, nil
}

// splitEscaped splits at commas that are not escaped by \.
func splitEscaped(s string) (parts []string) {
	begin := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// checkTable returns an error if a part cannot give table names.
func (p part) checkTable() error {
	switch {
	case p.isConstant():
		if p.constant == "" || len(p.constant) > maxTableBytes || !utf8.ValidString(p.constant) {
			return fmt.Errorf("%q is no table name of 1 to %d bytes", p.constant, maxTableBytes)
		}
	case p.path.counts():
		return fmt.Errorf("path %q: it gives a number, no table name; write #.name for a name in each element", p.path)
	case p.path.nests():
		return fmt.Errorf("path %q: a second # is for sum(…)", p.path)
	case p.path.modifiesEach() && !p.path.isSQL():
		return fmt.Errorf("path %q: a modifier behind # is for sum(…)", p.path)
	}
	return nil
}

// checkRecords returns an error if a part cannot give a number. summed is set
// inside sum(…).
func (p part) checkRecords(summed bool) error {
	switch {
	case p.isConstant() && summed:
		return fmt.Errorf("sum(…) adds paths, no constants like %q", p.constant)
	case summed && p.path.root != rootResult:
		return fmt.Errorf("path %q: sum(…) adds paths of the result", p.path)
	case p.isConstant():
		if _, ok := wholeNumber([]byte(p.constant)); !ok {
			return fmt.Errorf("%q is no whole number", p.constant)
		}
	case p.path.isSQL():
		return fmt.Errorf("path %q: it gives tables, no number", p.path)
	case p.path.several() && !summed:
		return fmt.Errorf("path %q: it gives a value for each element, no one number; end it in # for the number of elements, or add them up by sum(%[1]s)", p.path)
	}
	return nil
}
