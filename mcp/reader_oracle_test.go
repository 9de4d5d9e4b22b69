package mcp

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The reader's rules once more, slow and plain, on top of encoding/json's
// tokens: what Read accepts and what it refuses must be the same.

// jsonNode is a value of a body.
type jsonNode struct {
	kind    byte // the first byte of its text
	raw     string
	text    string     // of a string, with U+FFFD for a unpaired surrogate
	lone    bool       // the string has a unpaired surrogate
	names   []jsonNode // of an object
	members []jsonNode // of an object or an array
	at      [2]int64   // where it stands
}

func (n *jsonNode) get(name string) *jsonNode {
	for i := range n.names {
		if n.names[i].text == name {
			return &n.members[i]
		}
	}
	return nil
}

// parse returns the one value of a body; not ok if it is no JSON in UTF-8.
func parse(data []byte) (root jsonNode, ok bool) {
	if !json.Valid(data) || !utf8.Valid(data) {
		return jsonNode{}, false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value func() jsonNode
	value = func() jsonNode {
		before := dec.InputOffset()
		token, err := dec.Token()
		if err != nil {
			panic(err) // it was valid
		}
		begin := before + int64(bytes.IndexFunc(data[before:], func(c rune) bool { return !strings.ContainsRune(" \t\r\n,:", c) }))
		n := jsonNode{kind: data[begin], at: [2]int64{begin}}
		if text, is := token.(string); is {
			n.text = text
			n.lone = hasLoneSurrogate(string(data[begin:dec.InputOffset()]))
		}
		if delim, is := token.(json.Delim); is {
			for dec.More() {
				if delim == '{' {
					n.names = append(n.names, value())
				}
				n.members = append(n.members, value())
			}
			if _, err := dec.Token(); err != nil {
				panic(err)
			}
		}
		n.at[1] = dec.InputOffset()
		n.raw = string(data[n.at[0]:n.at[1]])
		return n
	}
	root = value()
	if _, err := dec.Token(); err != io.EOF {
		panic(err)
	}
	return root, true
}

var (
	anyEscape = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)
	highUnit  = regexp.MustCompile(`^\\u[dD][89abAB]`)
	lowUnit   = regexp.MustCompile(`^\\u[dD][c-fC-F]`)
)

func hasLoneSurrogate(raw string) bool {
	pending := -1 // where the low half of a pair is due
	for _, at := range anyEscape.FindAllStringIndex(raw, -1) {
		escape := raw[at[0]:at[1]]
		if lowUnit.MatchString(escape) != (pending == at[0]) {
			return true
		}
		pending = -1
		if highUnit.MatchString(escape) {
			pending = at[1]
		}
	}
	return pending >= 0
}

// accepts is what Read should say to a body, batches allowed.
func accepts(data []byte) bool {
	root, ok := parse(data)
	if !ok || !unambiguous(&root, 1) {
		return false
	}
	if root.kind != '[' {
		return isMessage(&root)
	}
	ids := map[any]bool{}
	for i := range root.members {
		m := &root.members[i]
		if !isMessage(m) {
			return false
		}
		if id := m.get("id"); id != nil && m.get("method") != nil {
			key, _ := idValue(id)
			if ids[key] {
				return false
			}
			ids[key] = true
		}
	}
	return len(root.members) > 0
}

// unambiguous holds at every level.
func unambiguous(n *jsonNode, depth int) bool {
	if n.kind != '{' && n.kind != '[' {
		return true
	}
	if depth > 256 {
		return false
	}
	seen := map[string]bool{}
	for _, name := range n.names {
		if name.lone || seen[name.text] {
			return false
		}
		seen[name.text] = true
	}
	for i := range n.members {
		if !unambiguous(&n.members[i], depth+1) {
			return false
		}
	}
	return true
}

// The names that matter, spelt as the specification has them.
var (
	messageLevel = strings.Fields("jsonrpc id method params result error")
	paramsLevel  = strings.Fields(`_meta task protocolVersion capabilities clientInfo name arguments inputResponses requestState uri cursor
		ref argument context level notifications requestId reason progressToken progress total message
		taskId status statusMessage createdAt lastUpdatedAt ttl pollInterval data logger mode requestedSchema url elicitationId
		messages modelPreferences systemPrompt includeContext temperature maxTokens stopSequences metadata tools toolChoice`)
)

var likeASCII = strings.NewReplacer("_", "", "-", "", "ß", "ss", "ẞ", "ss", "ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl",
	"ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "st", "ﬆ", "st", "ı", "i", "İ", "i")

func wellSpelt(n *jsonNode, names []string) bool {
	for _, name := range n.names {
		cut, _, _ := strings.Cut(name.text, "\x00")
		for _, known := range names {
			if name.text == known || name.text == "meta" {
				continue
			}
			if strings.EqualFold(likeASCII.Replace(cut), likeASCII.Replace(known)) {
				return false
			}
		}
	}
	return true
}

func idValue(n *jsonNode) (key any, ok bool) {
	if n.kind == '"' {
		return n.text, !n.lone
	}
	f, err := strconv.ParseFloat(n.raw, 64)
	return f, err == nil && f == math.Trunc(f) && f >= math.MinInt64 && f < math.MaxInt64 && (n.kind == '-' || '0' <= n.kind && n.kind <= '9')
}

func isMessage(n *jsonNode) bool {
	if n.kind != '{' || !wellSpelt(n, messageLevel) {
		return false
	}
	params := n.get("params")
	if params != nil && params.kind == '{' && !wellSpelt(params, paramsLevel) {
		return false
	}
	if v := n.get("jsonrpc"); v == nil || v.kind != '"' || v.text != "2.0" {
		return false
	}
	method, id, result, failure := n.get("method"), n.get("id"), n.get("result"), n.get("error")
	if method == nil {
		isNull := func(n *jsonNode) bool { return n == nil || n.kind == 'n' }
		switch {
		case result == nil && failure == nil, !isNull(result) && !isNull(failure):
			return false
		case isNull(id):
			return !isNull(failure)
		}
		_, ok := idValue(id)
		return ok
	}
	if method.kind != '"' || method.lone || result != nil || failure != nil {
		return false
	}
	if id != nil {
		if _, ok := idValue(id); !ok {
			return false
		}
	}
	if params != nil && params.kind != '{' && params.kind != 'n' {
		return false
	}
	if method.text == "tools/call" {
		if id == nil || params == nil {
			return false
		}
		name := params.get("name")
		return name != nil && name.kind == '"' && !name.lone
	}
	return true
}
