package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/export"
)

// exportFormats has the formats of exports by the value of the parameter format.
var exportFormats = map[string]struct{ format, contentType string }{
	"csv":    {export.SpreadsheetCSV, "text/csv; charset=utf-8; header=present"},
	"ndjson": {export.NDJSON, "application/x-ndjson"},
}

// export streams all calls that history would list.
func (a *API) export(ctx context.Context, r *request) (any, error) {
	name, given := r.query.params["format"]
	if !given {
		return nil, invalid("format is missing: it must be csv or ndjson")
	}
	as, known := exportFormats[name]
	if !known {
		return nil, invalid("format must be csv or ndjson, not %s", quote(name))
	}
	f := a.readFilter(ctx, r)
	if r.query.err != nil {
		return nil, r.query.err
	}
	return download{
		contentType: as.contentType, filename: "tallygate-usage." + name,
		write: func(ctx context.Context, w io.Writer) error { return writeEvents(ctx, a.ledger, f, as.format, w) },
	}, nil
}

func writeEvents(ctx context.Context, l usage.Ledger, f usage.Filter, format string, w io.Writer) error {
	out, err := export.New(format, w)
	if err != nil {
		return err
	}
	if err := usage.EachEvent(ctx, pageTimeouts{l}, f, out.Write); err != nil {
		return err
	}
	return out.Close()
}

// pageTimeouts is a ledger with a timeout for each page of its history, since an
// export as a whole may take longer than answerTimeout.
type pageTimeouts struct{ usage.Ledger }

func (p pageTimeouts) History(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	page, err := p.Ledger.History(ctx, q)
	if err != nil {
		return page, ledgerFault(err)
	}
	return page, nil
}

// download is a reply that is streamed while it is produced.
type download struct {
	contentType string
	filename    string
	write       func(context.Context, io.Writer) error
}

// writeTimeout is how long a client may take to receive one part of a download.
const writeTimeout = time.Minute

// send streams a download. It returns an error only if nothing has been sent. A
// later error aborts the connection, so that the client does not take a part for
// the whole.
func (a *API) send(w http.ResponseWriter, r *http.Request, d download) error {
	to := &sender{w: w, out: http.NewResponseController(w), d: d}
	if r.Method == http.MethodHead {
		to.begin()
		return nil
	}
	err := d.write(r.Context(), to)
	switch {
	case err == nil:
		to.begin() // it may be empty
		_ = to.out.SetWriteDeadline(time.Time{})
		return nil
	case !to.begun:
		return err
	}
	if p := problemOf(err); !errors.Is(err, errClient) && p.cause != nil && r.Context().Err() == nil {
		a.logger.Error("download aborted", "path", r.URL.Path, "error", p.cause)
	}
	panic(http.ErrAbortHandler)
}

// errClient marks an error of writing to the client.
var errClient = errors.New("the client went away")

// sender writes the reply's header before the first byte of its body.
type sender struct {
	w     http.ResponseWriter
	out   *http.ResponseController
	d     download
	begun bool
}

func (s *sender) begin() {
	if s.begun {
		return
	}
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", s.d.contentType)
	h.Set("Content-Disposition", `attachment; filename="`+s.d.filename+`"`)
	s.w.WriteHeader(http.StatusOK)
}

func (s *sender) Write(p []byte) (int, error) {
	s.begin()
	_ = s.out.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every ResponseWriter supports it
	n, err := s.w.Write(p)
	if err != nil {
		err = errors.Join(errClient, err)
	}
	return n, err
}
