package scan

import "bytes"

// maxWords is the length in bytes of the longest text that is read as a
// sentence. A longer text holds data.
const maxWords = 512

// words are the words of a short text, in lower case.
type words struct {
	list [maxWords/2 + 1][]byte
	n    int
}

// read splits the text into words. It makes its letters lower case in place.
func (w *words) read(text []byte) {
	w.n = 0
	begin := -1
	for i := 0; i <= len(text); i++ {
		inside := false
		if i < len(text) {
			c := text[i]
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
				text[i] = c
			}
			inside = isDigit(c) || c >= 'a' && c <= 'z' || c == '.' || c == '-' || c == '_' || c == '\'' || c >= 0x80
		}
		switch {
		case inside && begin < 0:
			begin = i
		case !inside && begin >= 0:
			w.list[w.n] = bytes.TrimRight(text[begin:i], ".")
			w.n++
			begin = -1
		}
	}
}

// at returns the word at an index, or "" if there is none.
func (w *words) at(i int) string {
	if i < 0 || i >= w.n {
		return ""
	}
	return string(w.list[i])
}

// number returns the number at an index. The word "no" is 0.
func (w *words) number(i int) (n int64, ok bool) {
	if i < 0 || i >= w.n {
		return 0, false
	}
	if string(w.list[i]) == "no" {
		return 0, true
	}
	return wholeNumber(w.list[i])
}

func (w *words) isRows(i int) bool {
	switch w.at(i) {
	case "row", "rows", "record", "records", "document", "documents":
		return true
	}
	return false
}

// affected finds the number of affected rows: "3 rows affected", "Query OK, 1
// row affected", "Rows affected: 3", "2 row(s) updated". It is not ok if the
// text gives two different numbers.
func (w *words) affected() (n int64, ok bool) {
	for i := range w.n {
		found, here := w.affectedAt(i)
		if here && ok && found != n {
			return 0, false
		}
		if here {
			n, ok = found, true
		}
	}
	return n, ok
}

// affectedAt reads the phrase that begins at an index.
func (w *words) affectedAt(i int) (n int64, ok bool) {
	switch first := w.at(i); {
	case first == "affected_rows" || first == "rows_affected":
		return w.number(i + 1)
	case w.isRows(i) && w.at(i+1) == "affected", first == "affected" && w.isRows(i+1):
		return w.number(i + 2) // rows affected: 3
	}
	if !w.isRows(i + 1) {
		return 0, false
	}
	if n, ok = w.number(i); !ok {
		return 0, false
	}
	if i += 2; w.at(i) == "s" { // row(s)
		i++
	}
	if verb := w.at(i); verb == "were" || verb == "was" {
		i++
	}
	switch w.at(i) {
	case "affected", "updated", "inserted", "deleted", "changed", "modified":
		return n, true
	}
	return 0, false
}

// noRows returns 0 and true if the text says that there are no rows, and
// mentions no other number of rows: "No rows returned", "Retrieved 0 rows",
// "Empty set".
func (w *words) noRows() (n int64, ok bool) {
	for i := range w.n {
		if w.at(i) == "empty" && w.at(i+1) == "set" {
			ok = true
		}
		if !w.isRows(i) {
			continue
		}
		if n, said := w.number(i - 1); !said || n != 0 {
			return 0, false
		}
		if isReturned(w.at(i+1)) || isReturned(w.at(i-2)) {
			ok = true
		}
	}
	return 0, ok
}

func isReturned(word string) bool {
	return word == "returned" || word == "retrieved" || word == "found"
}
