// Package export writes events out as CSV, NDJSON or Parquet. What is written
// goes to the writer as it comes; no format holds all events in memory.
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

// Writer writes events in one format, in the columns of mcp_tool_usage_log.
// What was written is complete after Close, which does not close the writer
// below it.
type Writer interface {
	Write(e *usage.Event) error
	Close() error
}

// Formats that programs choose.
const (
	NDJSON = "ndjson"
	// SpreadsheetCSV is csv for people: text that a spreadsheet would take for
	// a formula has a ' before it.
	SpreadsheetCSV = "spreadsheet-csv"
)

// New returns a writer of a format: csv, ndjson or parquet, or SpreadsheetCSV.
func New(format string, w io.Writer) (Writer, error) {
	switch format {
	case "csv":
		return newCSV(w), nil
	case SpreadsheetCSV:
		c := newCSV(w)
		c.harmless = true
		return c, nil
	case NDJSON:
		return newNDJSON(w), nil
	case "parquet":
		return newParquet(w), nil
	}
	return nil, fmt.Errorf("the format %q is none of csv, ndjson, parquet", format)
}

// ndjson is one event a line, as Event.MarshalJSON writes it.
type ndjson struct {
	w *bufio.Writer
	e *json.Encoder
}

func newNDJSON(w io.Writer) Writer {
	buffered := bufio.NewWriterSize(w, 64<<10)
	return &ndjson{buffered, json.NewEncoder(buffered)}
}

func (n *ndjson) Write(e *usage.Event) error { return n.e.Encode(e) }
func (n *ndjson) Close() error               { return n.w.Flush() }

// csvColumns are the columns of the CSV, whose first line names them. What is
// unknown is empty; tables is a JSON array.
var csvColumns = []struct {
	name string
	text func(e *usage.Event) string
}{
	{"event_id", func(e *usage.Event) string { return e.ID.String() }},
	{"ts", func(e *usage.Event) string { return e.Time.UTC().Format(time.RFC3339Nano) }},
	{"user_id", func(e *usage.Event) string { return e.UserID }},
	{"user_email", func(e *usage.Event) string { return e.UserEmail }},
	{"key_id", func(e *usage.Event) string { return e.KeyID }},
	{"key_name", func(e *usage.Event) string { return e.KeyName }},
	{"tool_name", func(e *usage.Event) string { return e.Tool }},
	{"table_name", (*usage.Event).TableName},
	{"tables", tables},
	{"record_count", func(e *usage.Event) string { return number(e.RecordCount) }},
	{"outcome", func(e *usage.Event) string { return string(e.Outcome) }},
	{"http_status", func(e *usage.Event) string { return number(e.HTTPStatus) }},
	{"rpc_code", func(e *usage.Event) string { return number(e.RPCCode) }},
	{"duration_us", func(e *usage.Event) string { return strconv.FormatInt(e.DurationUS, 10) }},
	{"request_bytes", func(e *usage.Event) string { return strconv.FormatInt(e.RequestBytes, 10) }},
	{"response_bytes", func(e *usage.Event) string { return strconv.FormatInt(e.ResponseBytes, 10) }},
	{"session_id", func(e *usage.Event) string { return e.SessionID }},
	{"request_id", func(e *usage.Event) string { return e.RequestID }},
	{"protocol_version", func(e *usage.Event) string { return e.ProtocolVersion }},
	{"client_name", func(e *usage.Event) string { return e.ClientName }},
	{"client_version", func(e *usage.Event) string { return e.ClientVersion }},
	{"remote_ip", func(e *usage.Event) string { return e.RemoteIP }},
}

func tables(e *usage.Event) string {
	if len(e.Tables) == 0 {
		return ""
	}
	text, err := json.Marshal(e.Tables)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(text)
}

func number(n usage.NullInt64) string {
	if !n.Valid {
		return ""
	}
	return strconv.FormatInt(n.Int64, 10)
}

type csvWriter struct {
	w        *csv.Writer
	fields   []string
	harmless bool  // to spreadsheets
	err      error // of the header
}

func newCSV(w io.Writer) *csvWriter {
	c := &csvWriter{w: csv.NewWriter(w), fields: make([]string, len(csvColumns))}
	for i, column := range csvColumns {
		c.fields[i] = column.name
	}
	c.err = c.w.Write(c.fields)
	return c
}

func (c *csvWriter) Write(e *usage.Event) error {
	for i, column := range csvColumns {
		c.fields[i] = column.text(e)
		if c.harmless && isFormula(c.fields[i]) {
			c.fields[i] = "'" + c.fields[i]
		}
	}
	return errors.Join(c.err, c.w.Write(c.fields))
}

// isFormula tells what a spreadsheet may run: what begins, after spaces
// perhaps, with one of = + - @ (their wide forms included), unless it is a
// number, and what begins with a tab or a line end.
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
