package mcp

import (
	"bytes"
	"strconv"
	"strings"
)

// maxWords bounds a text that says something in words. A longer one holds data.
const maxWords = 512

// affectedIn reads the number of affected rows out of a short text that says it
// in words: "3 rows affected", "Query OK, 1 row affected", "Rows affected: 3",
// "2 row(s) updated". A text that says two different numbers says none.
func affectedIn(text []byte) (n int64, ok bool) {
	words := bytes.FieldsFunc(bytes.ToLower(text), func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '.' && r != '-' && r != '_' && r != '\''
	})
	for i := range words {
		found, here := affectedAt(words[i:])
		if here && ok && found != n {
			return 0, false
		}
		if here {
			n, ok = found, true
		}
	}
	return n, ok
}

// affectedAt reads the phrase that the words begin with.
func affectedAt(words [][]byte) (n int64, ok bool) {
	word := func(i int) string {
		if i >= len(words) {
			return ""
		}
		return string(bytes.TrimRight(words[i], "."))
	}
	number := func(s string) (int64, bool) {
		if s == "no" {
			return 0, true
		}
		if strings.Trim(s, "0123456789") != "" || s == "" {
			return 0, false // before ParseUint, whose errors are allocated
		}
		n, err := strconv.ParseUint(s, 10, 63)
		return int64(n), err == nil
	}
	isRows := func(s string) bool {
		return s == "row" || s == "rows" || s == "record" || s == "records" || s == "document" || s == "documents"
	}
	i := 0
	if isRows(word(0)) && word(1) == "affected" || word(0) == "affected" && isRows(word(1)) {
		i = 2 // rows affected: 3
		return number(word(i))
	}
	if word(0) == "affected_rows" || word(0) == "rows_affected" {
		return number(word(1))
	}
	if n, ok = number(word(0)); !ok || !isRows(word(1)) {
		return 0, false
	}
	if i = 2; word(i) == "s" { // row(s)
		i++
	}
	if w := word(i); w == "were" || w == "was" {
		i++
	}
	switch word(i) {
	case "affected", "updated", "inserted", "deleted", "changed", "modified":
		return n, true
	}
	return 0, false
}
