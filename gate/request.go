package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tallygate/tallygate/mcp"
)

// readRequest reads the request's body, strictly, and puts it back in place for the
// upstream. The messages of a POST are in x.body afterwards. What is ambiguous
// is refused.
func (x *exchange) readRequest(r *http.Request) *refusal {
	var ref *refusal
	if x.sessionID, ref = singleHeader(r.Header, "Mcp-Session-Id"); ref != nil {
		return ref
	}
	if x.protocol, ref = singleHeader(r.Header, "Mcp-Protocol-Version"); ref != nil {
		return ref
	}
	switch r.Method {
	case http.MethodPost:
		return x.readMessages(r)
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		if r.ContentLength > 0 {
			return badRequest(errors.New("a " + r.Method + " carries no body"))
		}
		r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
		return nil
	}
	return &refusal{status: http.StatusMethodNotAllowed, reason: reasonMethod, code: mcp.CodeInvalidRequest,
		message: r.Method + " is not a method of MCP's streamable HTTP"}
}

func (x *exchange) readMessages(r *http.Request) *refusal {
	if err := mcp.CheckContent(r.Header["Content-Type"], r.Header["Content-Encoding"]); err != nil {
		return badRequest(err)
	}
	limit := x.gate.maxBody
	if x.principal == nil {
		limit = min(limit, maxPublicBody)
	}
	read := readBody
	if x.principal == nil {
		read = x.readKeyless
	}
	data, err := read(r, limit)
	switch {
	case errors.Is(err, errTooMany):
		return &refusal{status: http.StatusTooManyRequests, reason: reasonBusy, code: codeBusy, retryAfter: time.Second,
			message: "Too many requests without a live API key are being sent: send the key with every request, or try again"}
	case errors.Is(err, os.ErrDeadlineExceeded) && x.principal == nil:
		return &refusal{status: http.StatusRequestTimeout, reason: reasonTimeout, code: codeTimeout,
			message: fmt.Sprintf("The body did not come within %v: send it at once, or send an API key with it", keylessBodyTime)}
	case errors.Is(err, errTooLarge) && x.principal == nil && limit < x.gate.maxBody:
		return x.denied // with a live key it might have been read
	case errors.Is(err, errTooLarge):
		return &refusal{status: http.StatusRequestEntityTooLarge, reason: reasonTooLarge, code: codeTooLarge,
			message: fmt.Sprintf("the body is longer than %d bytes", limit)}
	case err != nil:
		return badRequest(errors.New("the body ended early"))
	}
	x.unread = false
	if err := x.body.Read(data, allowsBatch(x.protocol)); err != nil {
		return badRequest(err)
	}
	if len(x.body.Messages) > maxBatch {
		return badRequest(fmt.Errorf("a batch has more than %d messages", maxBatch))
	}
	for i := range x.body.Messages {
		if len(x.body.Messages[i].ID) > maxID {
			return badRequest(fmt.Errorf("an id is longer than %d bytes", maxID))
		}
	}
	r.GetBody = func() (io.ReadCloser, error) { return &memoryBody{*bytes.NewReader(data)}, nil }
	x.upload.Reset(data)
	r.Body = &x.upload
	r.ContentLength, r.TransferEncoding = int64(len(data)), nil
	return nil
}

// memoryBody is a request's body that has been read.
type memoryBody struct{ bytes.Reader }

// Close does nothing.
func (*memoryBody) Close() error { return nil }

// singleHeader returns the value of a header that may be given once, or "". Only
// visible ASCII is allowed (MCP 2025-11-25, transports, session management): some
// servers strip other characters, and would see another session than the gate.
func singleHeader(h http.Header, name string) (string, *refusal) {
	values := h[name]
	if len(values) > 1 {
		return "", badRequest(fmt.Errorf("there is more than one %s", name))
	}
	value := firstValue(values)
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return "", badRequest(fmt.Errorf("the header %s has a character that is not visible ASCII", name))
		}
	}
	return value, nil
}

// firstValue returns a header's first value, or "".
func firstValue(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// allowsBatch reports whether a body may be a batch, given the protocol revision
// that the request's header names: only 2025-03-26 has batches, and it does not
// know the header yet.
func allowsBatch(protocol string) bool {
	return protocol == "" || protocol == "2025-03-26"
}

var (
	errTooLarge = errors.New("too large")
	errTooMany  = errors.New("too many at a time")
)

// bodyChunk is how much memory in bytes a body gets before any of it has come.
const bodyChunk = 64 << 10

// readBody reads a body of at most limit bytes. Its memory grows as it comes:
// declaring a length costs the gate nothing.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	if r.ContentLength >= 0 {
		data := make([]byte, min(r.ContentLength, bodyChunk))
		for read := 0; ; {
			n, err := io.ReadFull(r.Body, data[read:])
			if read += n; err != nil || int64(read) == r.ContentLength {
				return data, err
			}
			longer := make([]byte, min(r.ContentLength, 2*int64(read)))
			copy(longer, data)
			data = longer
		}
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, errTooLarge
	}
	return data, err
}

// notForUpstream are the headers that the upstream does not get: the key, and what
// the gate has decided and some servers would decide otherwise, such as a page's
// origin.
var notForUpstream = map[string]bool{
	"Authorization": true, "X-Api-Key": true, "Cookie": true, "Origin": true, "Referer": true,
	"Sec-Fetch-Dest": true, "Sec-Fetch-Mode": true, "Sec-Fetch-Site": true, "Sec-Fetch-User": true,
	"Connection": true, // it would have the proxy remove the headers that it names
	"Upgrade":    true, // the messages of another protocol would pass unread
}

// prepareForUpstream turns the request into what the upstream gets: without what
// is not for it, and asking for what every server can give and the gate can meter.
func prepareForUpstream(r *http.Request) {
	h := r.Header
	for name := range h {
		// Many servers take X_User_Id and X.User.Id for X-User-Id.
		if notForUpstream[name] || strings.IndexByte(name, '_') >= 0 || strings.IndexByte(name, '.') >= 0 {
			delete(h, name)
		}
	}
	r.Trailer = nil // could name any of them
	h["Accept-Encoding"] = []string{"identity"}
	if accept := h["Accept"]; len(accept) == 0 || len(accept) == 1 && (accept[0] == "" || accept[0] == "*/*") {
		h["Accept"] = []string{"application/json, text/event-stream"}
	}
}
