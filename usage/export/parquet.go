package export

import (
	"errors"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/tallygate/tallygate/usage"
)

// rowGroup is how many events are held before they are written: a row group's
// columns have to be whole.
const rowGroup = 50_000

// parquetBatch is how many rows go to the Parquet writer at a time.
const parquetBatch = 256

// parquetRow is an event in Parquet's types. What repeats has a dictionary.
type parquetRow struct {
	EventID         uuid.UUID `parquet:"event_id,uuid"`
	TS              time.Time `parquet:"ts,timestamp(microsecond)"`
	UserID          string    `parquet:"user_id,dict"`
	UserEmail       string    `parquet:"user_email,dict"`
	KeyID           string    `parquet:"key_id,dict"`
	KeyName         string    `parquet:"key_name,dict"`
	ToolName        string    `parquet:"tool_name,dict"`
	TableName       *string   `parquet:"table_name,dict"`
	Tables          []string  `parquet:"tables,optional,list"`
	RecordCount     *int64    `parquet:"record_count"`
	Outcome         string    `parquet:"outcome,dict"`
	HTTPStatus      *int64    `parquet:"http_status,dict"`
	RPCCode         *int64    `parquet:"rpc_code,dict"`
	DurationUS      int64     `parquet:"duration_us"`
	RequestBytes    int64     `parquet:"request_bytes"`
	ResponseBytes   int64     `parquet:"response_bytes"`
	SessionID       *string   `parquet:"session_id,dict"`
	RequestID       string    `parquet:"request_id"`
	ProtocolVersion *string   `parquet:"protocol_version,dict"`
	ClientName      *string   `parquet:"client_name,dict"`
	ClientVersion   *string   `parquet:"client_version,dict"`
	RemoteIP        string    `parquet:"remote_ip,dict"`
}

type parquetWriter struct {
	w    *parquet.GenericWriter[parquetRow]
	rows []parquetRow
}

func newParquet(w io.Writer) Writer {
	return &parquetWriter{
		w: parquet.NewGenericWriter[parquetRow](w,
			parquet.Compression(&zstd.Codec{}),
			parquet.MaxRowsPerRowGroup(rowGroup),
			parquet.CreatedBy("tallygate", "", "")),
		rows: make([]parquetRow, 0, parquetBatch),
	}
}

func (p *parquetWriter) Write(e *usage.Event) error {
	p.rows = append(p.rows, parquetRow{
		EventID:         e.ID,
		TS:              e.Time,
		UserID:          e.UserID,
		UserEmail:       e.UserEmail,
		KeyID:           e.KeyID,
		KeyName:         e.KeyName,
		ToolName:        e.Tool,
		TableName:       text(e.TableName()),
		Tables:          e.Tables,
		RecordCount:     integer(e.RecordCount),
		Outcome:         string(e.Outcome),
		HTTPStatus:      integer(e.HTTPStatus),
		RPCCode:         integer(e.RPCCode),
		DurationUS:      e.DurationUS,
		RequestBytes:    e.RequestBytes,
		ResponseBytes:   e.ResponseBytes,
		SessionID:       text(e.SessionID),
		RequestID:       e.RequestID,
		ProtocolVersion: text(e.ProtocolVersion),
		ClientName:      text(e.ClientName),
		ClientVersion:   text(e.ClientVersion),
		RemoteIP:        e.RemoteIP,
	})
	if len(p.rows) < parquetBatch {
		return nil
	}
	return p.flush()
}

// text is a string that is known, or nil.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// integer is an integer that is known, or nil.
func integer(n usage.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

func (p *parquetWriter) flush() error {
	_, err := p.w.Write(p.rows)
	p.rows = p.rows[:0]
	return err
}

func (p *parquetWriter) Close() error {
	return errors.Join(p.flush(), p.w.Close())
}
