package mcp

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Path says where a value stands in a call's arguments or its result. It is
// the part of gjson's path syntax that can be followed while the bytes pass,
// nothing gathered and nothing read twice:
//
//	arguments.table                               a member of a member
//	result.content.0.text                         an element of an array, from 0
//	result.structuredContent.rows.#               the number of an array's elements
//	result.structuredContent.tables.#.name        each element's name
//	result.content.0.text|@fromstr|rows.#         inside the JSON that a text holds
//	result.structuredContent.meta\.data           \ takes the next character as it is
//
// It begins with arguments (of the request's params) or result (of the reply).
// At most one # and one @fromstr may stand in it, and no @fromstr after a #.
// Where a name occurs twice in an object, the first that leads to the path's
// end counts; but what stands before @fromstr is looked for once.
//
// It differs from gjson where gjson guesses: @fromstr finds nothing in a value
// that is no string or a text that is not one JSON value from end to end, and
// # is for arrays only.
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

// Caps on a path; they bound what a scanner has to remember.
const (
	maxSteps = 32
	maxName  = 256 // bytes of a member's name
)

// step is one component of a path.
type step struct {
	kind  stepKind
	name  string // of a member, for stepInto
	index int    // the same as an array's index, or -1
}

type stepKind uint8

const (
	stepInto    stepKind = iota // a member by name or an element by index
	stepEach                    // #: every element, or their number at the path's end
	stepFromStr                 // @fromstr: the JSON inside a string
)

// ParsePath reads a path. Its errors say what in s cannot be followed.
func ParsePath(s string) (Path, error) {
	p := Path{text: s}
	fail := func(format string, args ...any) (Path, error) {
		return Path{}, fmt.Errorf("path %q: "+format, append([]any{s}, args...)...)
	}
	root, rest, more := strings.Cut(s, ".")
	if root != rootArguments && root != rootResult {
		return fail("it has to begin with arguments. or result.")
	}
	if !more || rest == "" {
		return fail("it ends where it should say what of the %s is meant", root)
	}
	p.root = root
	each, fromStr := false, false
	for sep := byte('.'); ; {
		st, n, err := parseStep(rest)
		if err != nil {
			return fail("%w", err)
		}
		switch st.kind {
		case stepFromStr:
			if fromStr {
				return fail("@fromstr can be used once")
			}
			if each {
				return fail("@fromstr cannot follow #")
			}
			fromStr = true
		case stepEach:
			if each {
				return fail("# can be used once")
			}
			each = true
			fallthrough
		default:
			if sep == '|' && (len(p.steps) == 0 || p.steps[len(p.steps)-1].kind != stepFromStr) {
				return fail("| stands before and after @fromstr only; use . instead")
			}
		}
		if p.steps = append(p.steps, st); len(p.steps) > maxSteps {
			return fail("more than %d components", maxSteps)
		}
		if n == len(rest) {
			return p, nil
		}
		sep, rest = rest[n], rest[n+1:]
	}
}

// parseStep reads the component that s begins with, up to a . or |, and tells
// its length.
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
		modifier, _, arg := strings.Cut(word[1:], ":")
		switch {
		case word == "@fromstr":
			return step{kind: stepFromStr, index: -1}, len(word), nil
		case modifier == "fromstr" && arg:
			return step{}, 0, fmt.Errorf("@fromstr takes no argument")
		case gjson.ModifierExists(modifier, nil):
			return step{}, 0, fmt.Errorf(`the modifier @%s cannot be followed in a stream, only @fromstr can; for a name, write \@%[1]s`, modifier)
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

// String is the path as it was written.
func (p Path) String() string { return p.text }

// counts tells whether the path ends in the number of an array's elements.
func (p Path) counts() bool {
	return len(p.steps) > 0 && p.steps[len(p.steps)-1].kind == stepEach
}

// gives several values: it goes through every element of an array.
func (p Path) several() bool {
	for i, st := range p.steps {
		if st.kind == stepEach {
			return i < len(p.steps)-1
		}
	}
	return false
}
