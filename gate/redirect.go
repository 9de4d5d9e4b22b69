package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// send passes the request on to the upstream, and answers in its place where it
// cannot be reached, or redirects to what is not the same server.
func (x *exchange) send(r *http.Request, next Handler) error {
	w := &x.response
	defer x.filter.close()
	for {
		x.endpoint.address(r)
		err := next(x.beginFilter(r), r)
		if w.redirect == nil {
			return x.answerFailure(r.Context(), err)
		}
		x.filter = filteringWriter{} // which has no filter: nothing of a redirect is passed on
		location := *w.redirect
		clear(w.Header()) // all that was known of the redirect
		w.redirect = nil
		if x.redirected || !x.endpoint.follow(r, location) {
			return x.answerFor(&refusal{status: http.StatusBadGateway, reason: reasonRedirect, code: codeRedirect,
				cause:   fmt.Errorf("the upstream redirects to %q, which is not the other spelling of its path", location),
				message: "The MCP server behind the gate redirects to another address; its operator has to correct the gate's upstream"})
		}
		x.redirected = true
		if r.GetBody != nil {
			r.Body, _ = r.GetBody() // from memory
		}
	}
}

// isRedirect reports whether a response tells the client to go elsewhere.
func isRedirect(status int, h http.Header) bool {
	return status >= 300 && status < 400 && (status != http.StatusNotModified || h.Get("Location") != "")
}

// removeAddresses removes the headers by which an upstream could name an address
// that is not the gate's to a client that would use it.
func removeAddresses(h http.Header) {
	for _, name := range []string{"Location", "Content-Location", "Refresh", "Www-Authenticate"} {
		delete(h, name)
	}
}

var errNoUpstream = errors.New("no handler behind the gate has answered")

// answerFailure answers in the place of an upstream that failed before its
// response began. It returns the error where nobody waits for an answer.
func (x *exchange) answerFailure(ctx context.Context, err error) error {
	w := &x.response
	w.ended = true
	if w.status != 0 {
		return err
	}
	if err == nil {
		// An empty 200, which would follow, says less.
		err = errNoUpstream
	}
	status := x.gate.errorStatus(err)
	if status == statusClientClosed || ctx.Err() != nil {
		w.status = status
		return err
	}
	ref := &refusal{status: status, reason: reasonUpstream, code: codeUpstream, cause: err,
		message: "The MCP server behind the gate failed; try again later"}
	switch {
	case errors.Is(err, errNoUpstream):
		ref.status, ref.message = http.StatusBadGateway, "There is no MCP server behind the gate; its operator has to configure one"
	case status == http.StatusGatewayTimeout:
		ref.message = "The MCP server behind the gate did not answer in time; try again later"
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable:
		ref.message = "The MCP server behind the gate cannot be reached; try again later"
	case status < 400:
		ref.status = http.StatusBadGateway
	}
	return x.answerFor(ref)
}

// answerFor answers in the upstream's place. The answer is metered like any other.
func (x *exchange) answerFor(ref *refusal) error {
	ref.answerEach(&x.body)
	x.refuse(ref)
	return ref.writeTo(&x.response)
}
