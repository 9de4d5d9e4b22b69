// Package export writes events as CSV or NDJSON. It passes them on as they come
// and does not keep them in memory.
package export

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tallygate/tallygate/usage"
)

// Writer writes events in one format, with the columns of mcp_tool_usage_log. The
// output is complete after Close, which does not close the underlying writer.
type Writer interface {
	Write(e *usage.Event) error
	Close() error
}

// The formats.
const (
	CSV    = "csv"
	NDJSON = "ndjson"
	// SpreadsheetCSV is CSV for people: text that a spreadsheet would take for a
	// formula has a ' in front.
	SpreadsheetCSV = "spreadsheet-csv"
)

// New returns a writer of a format: CSV, NDJSON or SpreadsheetCSV.
func New(format string, w io.Writer) (Writer, error) {
	switch format {
	case CSV, SpreadsheetCSV:
		return newCSV(w, format == SpreadsheetCSV), nil
	case NDJSON:
		buffered := bufio.NewWriterSize(w, 64<<10)
		return &ndjson{buffered, json.NewEncoder(buffered)}, nil
	}
	return nil, fmt.Errorf("the format %q is none of csv, ndjson", format)
}

// ndjson is one event a line, as Event.MarshalJSON writes it.
type ndjson struct {
	w *bufio.Writer
	e *json.Encoder
}

func (n *ndjson) Write(e *usage.Event) error { return n.e.Encode(e) }
func (n *ndjson) Close() error               { return n.w.Flush() }

// columnText returns the value of a column as text; what is unknown is empty.
func columnText(c usage.Column, e *usage.Event) string {
	switch v := c.Value(e).(type) {
	case nil:
		return ""
	case string:
		return v
	case []string:
		if len(v) == 0 {
			return ""
		}
		text, _ := json.Marshal(v) // strings always encode
		return string(text)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

// csvWriter writes CSV whose first line names the columns. A list is a JSON array.
type csvWriter struct {
	w        *csv.Writer
	fields   []string
	harmless bool  // whether formulas are defused
	err      error // of the header
}

func newCSV(w io.Writer, harmless bool) *csvWriter {
	c := &csvWriter{w: csv.NewWriter(w), fields: usage.ColumnNames(usage.Columns), harmless: harmless}
	c.err = c.w.Write(c.fields)
	return c
}

func (c *csvWriter) Write(e *usage.Event) error {
	for i, column := range usage.Columns {
		c.fields[i] = columnText(column, e)
		if c.harmless && isFormula(c.fields[i]) {
			c.fields[i] = "'" + c.fields[i]
		}
	}
	return errors.Join(c.err, c.w.Write(c.fields))
}

// isFormula reports whether a spreadsheet may run the text as a formula: it starts,
// after optional spaces, with one of = + - @ or their wide forms, and is not a
// number, or it starts with a tab or a line end.
func isFormula(s string) bool {
	if strings.HasPrefix(s, "\t") || strings.HasPrefix(s, "\r") || strings.HasPrefix(s, "\n") {
		return true
	}
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	if _, err := strconv.ParseInt(s, 10, 64); err == nil {
		return strings.HasPrefix(s, "+")
	}
	first, _ := utf8.DecodeRuneInString(s)
	return strings.ContainsRune("=+-@＝＋－＠", first) && s != ""
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return errors.Join(c.err, c.w.Error())
}
