// Package export writes events as CSV or NDJSON. It passes them on as they come
// and does not keep them in memory.
package export

import (
	"bufio"
	"encoding/json"
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

// columnText returns the value of a column as text, and whether it is text by nature.
// What is unknown is empty.
func columnText(c usage.Column, e *usage.Event) (text string, isText bool) {
	switch v := c.Value(e).(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case []string:
		if len(v) == 0 {
			return "", false
		}
		list, _ := json.Marshal(v) // strings always encode
		return string(list), true
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), false
	default:
		return fmt.Sprint(v), false
	}
}

// csvWriter writes CSV (RFC 4180, with LF) whose first line names the columns. Every
// text is quoted, whatever is in it, since spreadsheets take other characters than the
// comma for the end of a field, too. A list is a JSON array.
type csvWriter struct {
	w        *bufio.Writer
	line     []byte
	harmless bool // whether formulas are defused
}

func newCSV(w io.Writer, harmless bool) *csvWriter {
	c := &csvWriter{w: bufio.NewWriterSize(w, 64<<10), harmless: harmless}
	_, _ = c.w.WriteString(strings.Join(usage.ColumnNames(usage.Columns), ",") + "\n") // Flush has the error
	return c
}

func (c *csvWriter) Write(e *usage.Event) error {
	c.line = c.line[:0]
	for i, column := range usage.Columns {
		if i > 0 {
			c.line = append(c.line, ',')
		}
		text, isText := columnText(column, e)
		if !isText {
			c.line = append(c.line, text...)
			continue
		}
		if c.harmless && isFormula(text) {
			text = "'" + text
		}
		c.line = append(c.line, '"')
		c.line = append(c.line, strings.ReplaceAll(text, `"`, `""`)...)
		c.line = append(c.line, '"')
	}
	_, err := c.w.Write(append(c.line, '\n'))
	return err
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

func (c *csvWriter) Close() error { return c.w.Flush() }
