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

// exportFormats are what calls are exported in, by the parameter format.
var exportFormats = map[string]struct{ format, contentType string }{
	"csv":    {export.SpreadsheetCSV, "text/csv; charset=utf-8; header=present"},
	"ndjson": {export.NDJSON, "application/x-ndjson"},
}

// export sends the calls that history would list, all of them.
func (a *API) export(ctx context.Context, r request) (int, any, error) {
	name, given := r.query["format"]
	if !given {
		return 0, nil, invalid("format is missing: it must be csv or ndjson")
	}
	as, known := exportFormats[name]
	if !known {
		return 0, nil, invalid("format must be csv or ndjson, not %s", quote(name))
	}
	f, err := a.readFilter(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, download{
		contentType: as.contentType, filename: "tallygate-usage." + name,
		write: func(ctx context.Context, w io.Writer) error { return writeEvents(ctx, a.ledger, f, as.format, w) },
	}, nil
}

func writeEvents(ctx context.Context, l usage.Ledger, f usage.Filter, format string, w io.Writer) error {
	out, err := export.New(format, w)
	if err != nil {
		return err
	}
	if err := usage.EachEvent(ctx, patient{l}, f, out.Write); err != nil {
		return err
	}
	return out.Close()
}

// patient is a ledger of which each page may take as long as an answer.
type patient struct{ usage.Ledger }

func (p patient) History(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	page, err := p.Ledger.History(ctx, q)
	if err != nil {
		return page, ledgerFault(err)
	}
	return page, nil
}

// download is an answer that is sent while it is made, however long it is.
type download struct {
	contentType string
	filename    string
	write       func(context.Context, io.Writer) error
}

// writeTimeout is how long a client may take to receive one part of a download.
const writeTimeout = time.Minute

// send sends a download. It returns an error while nothing has been sent. What
// goes wrong later breaks the connection off, so that nobody takes a part for
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
		to.begin() // an empty one, too
		_ = to.out.SetWriteDeadline(time.Time{})
		return nil
	case !to.begun:
		return err
	}
	if p := problemOf(err); !errors.Is(err, errClient) && p.cause != nil && r.Context().Err() == nil {
		a.logger.Error("download broken off", "path", r.URL.Path, "error", p.cause)
	}
	panic(http.ErrAbortHandler)
}

// errClient is that the client does not receive a download.
var errClient = errors.New("the client went away")

// sender begins an answer when there is something to send.
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
	_ = s.out.SetWriteDeadline(time.Now().Add(writeTimeout)) // where there is none, nothing is lost
	n, err := s.w.Write(p)
	if err != nil {
		err = errors.Join(errClient, err)
	}
	return n, err
}
