package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// Codes of the gate's own JSON-RPC errors. They lie outside -32768…-32000,
// which JSON-RPC 2.0 (section 5.1) and MCP reserve, and begin with the HTTP
// status that they come with.
const (
	codeKeyRequired = 40101
	codeKeyInvalid  = 40102
	codeTwoKeys     = 40103
	codeOrigin      = 40301
	codeScope       = 40302
	codeSession     = 40401
	codePath        = 40402
	codeTimeout     = 40801
	codeTooLarge    = 41301
	codeLimit       = 42901
	codeBusy        = 42902
	codeEncodedList = 50201
	codeRedirect    = 50202
	codeUpstream    = 50203
	codeTransport   = 50204
	codeUnavailable = 50301
	codeUnrecorded  = 50302
)

// Reasons of refusals, beside those of an authn.Denial and the limits. Metrics,
// logs and docs/troubleshooting.md name them.
const (
	reasonNoKey        = "no_key"
	reasonMalformedKey = authn.Malformed
	reasonTwoKeys      = "two_keys"
	reasonScope        = "scope"
	reasonSession      = "session"
	reasonTask         = "task"
	reasonOrigin       = "origin"
	reasonPath         = "path"
	reasonMethod       = "method" // of HTTP
	reasonBody         = "body"   // the strict reader's, and headers that the gate reads
	reasonTooLarge     = "too_large"
	reasonTimeout      = "timeout" // the body did not come
	reasonBusy         = "busy"    // too many bodies without a key are being read
	reasonRedirect     = "redirect"
	reasonUpstream     = "upstream"
	reasonEncodedList  = "encoded_list"
	reasonTransport    = "transport" // HTTP+SSE, of the upstream
	reasonUnavailable  = "unavailable"
	reasonUnrecorded   = "unrecorded"
)

// limitReasons are the reasons of calls that exceed a limit, as quota.Exceeded
// names them.
var limitReasons = []string{identity.LimitCallsPerMinute, identity.LimitCallsPerDay, identity.LimitRecordsPerDay, identity.LimitConcurrentCalls}

// Reasons are all reasons for which a gate refuses a request.
var Reasons = append([]string{
	reasonNoKey, reasonMalformedKey, reasonTwoKeys, authn.Unknown, authn.Revoked, authn.Expired, authn.UserDisabled,
	reasonScope, reasonSession, reasonTask, reasonOrigin, reasonPath, reasonMethod, reasonBody,
	reasonTooLarge, reasonTimeout, reasonBusy, reasonRedirect, reasonUpstream, reasonEncodedList, reasonTransport, reasonUnavailable,
	reasonUnrecorded,
}, limitReasons...)

// refusal is the answer to a request that does not reach the upstream, or whose
// response does not reach the client, and the reason for it.
type refusal struct {
	status     int
	reason     string // one of Reasons
	code       int
	message    string
	id         []byte        // the request's, as JSON text; nil when unknown
	batch      [][]byte      // the ids of a batch's requests, each of which is answered; nil for one answer
	retryAfter time.Duration // zero: not said
	cause      error         // for the log, not for the client
}

// unauthorized refuses a request without a live key. The client is not told why
// its key is not live.
func unauthorized(reason string) *refusal {
	ref := &refusal{status: http.StatusUnauthorized, reason: reason, code: codeKeyInvalid, message: "Invalid or expired API key"}
	if reason == reasonNoKey {
		ref.code, ref.message = codeKeyRequired, "API key required"
	}
	return ref
}

// notStarted refuses what comes before the gate can serve.
func notStarted() *refusal { return unavailable("The gate is starting; try again", nil) }

func unavailable(message string, cause error) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, reason: reasonUnavailable, code: codeUnavailable, message: message, cause: cause}
}

// badRequest refuses what the strict reader refused.
func badRequest(err error) *refusal {
	ref := &refusal{status: http.StatusBadRequest, reason: reasonBody, code: mcp.CodeInvalidRequest, message: err.Error()}
	var body *mcp.Error
	var content *mcp.ContentError
	switch {
	case errors.As(err, &body):
		ref.code, ref.id = body.Code, body.ID
	case errors.As(err, &content):
		ref.status = content.Status
	}
	return ref
}

// deniesKey reports whether calls are denied to a live key, by its scopes or one
// of its limits.
func (ref *refusal) deniesKey() bool {
	return ref.reason == reasonScope || slices.Contains(limitReasons, ref.reason)
}

// outcome returns the outcome of a call that is denied to its key.
func (ref *refusal) outcome() usage.Outcome {
	if ref.status == http.StatusOK {
		return usage.RPCError
	}
	return usage.HTTPError
}

// reject answers a request that does not reach the upstream.
func (x *exchange) reject(ref *refusal) error {
	x.refuse(ref)
	switch {
	case !x.unread || ref.reason == reasonTimeout:
	case ref.reason == reasonBusy:
		x.setReadDeadline(x.arrived) // it has passed: the connection is closed at once
	default:
		x.setReadDeadline(time.Now().Add(drainTime)) // as limitDrain
	}
	return ref.writeTo(x.response.ResponseWriter)
}

// refuse takes down that the request is refused, and completes the refusal. It
// is the only place that does: the caller writes the answer. Calls that are
// denied to their key leave an event each.
func (x *exchange) refuse(ref *refusal) {
	x.refused = ref
	if ref.deniesKey() {
		x.recordDenied(ref)
	}
	if x.backend != nil {
		x.backend.Calls.counters.countRefusal(x.gate.server, ref.reason)
	}
	if ref.cause != nil {
		x.gate.log.Error(ref.message, "error", ref.cause)
	}
	if ctx := context.Background(); x.gate.log.Enabled(ctx, slog.LevelDebug) {
		x.gate.log.LogAttrs(ctx, slog.LevelDebug, "refused a request", x.refusalAttrs(ref)...)
	}
}

// refusalAttrs says for the log what was refused and why. No part of a key is in
// it that the store does not show.
func (x *exchange) refusalAttrs(ref *refusal) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("reason", ref.reason), slog.Int("status", ref.status), slog.Int("code", ref.code), slog.String("message", ref.message),
		slog.String("server", x.gate.server), slog.String("client_ip", x.remoteIP), slog.String("http_method", x.method),
	}
	if len(x.body.Messages) > 0 {
		attrs = append(attrs, slog.String("method", clip(x.body.Messages[0].Method)))
	}
	for _, name := range []string{"tool", "key_id", "key_prefix", "user_id"} {
		if value := x.Value(name); value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	return attrs
}

// writeTo answers with a JSON-RPC error. A session of the official Go SDK
// outlives it because it is JSON and echoes the request's id.
func (ref *refusal) writeTo(w http.ResponseWriter) error {
	body := ref.answer(ref.id)
	if ref.batch != nil {
		var answers [][]byte
		for _, id := range ref.batch {
			answers = append(answers, ref.answer(id))
		}
		body = slices.Concat([]byte("["), bytes.Join(answers, []byte(",")), []byte("]"))
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	switch ref.status {
	case http.StatusUnauthorized:
		// No resource_metadata: it would send clients looking for OAuth.
		h.Set("WWW-Authenticate", `Bearer realm="tallygate"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, POST, DELETE")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	if ref.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(wholeSeconds(ref.retryAfter), 10))
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(ref.status)
	_, err := w.Write(body)
	return err
}

// answer returns the error that answers the request with an id, nil when
// unknown.
func (ref *refusal) answer(id []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	message, _ := json.Marshal(ref.message) // a string always encodes
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}`, id, ref.code, message)
}

// answerEach addresses the refusal to the request in a body, or to each request
// of a batch.
func (ref *refusal) answerEach(body *mcp.Body) {
	for i := range body.Messages {
		m := &body.Messages[i]
		switch {
		case !body.Batch:
			ref.id = m.ID
		case m.Kind == mcp.Request:
			ref.batch = append(ref.batch, m.ID)
		}
	}
}

// wholeSeconds returns a time to wait in seconds, at least 1.
func wholeSeconds(wait time.Duration) int64 {
	return max(1, int64((wait+time.Second-1)/time.Second))
}

// answerDiscovery tells a client that looks for an authorization server that
// there is none. An empty 200 would break it; an error in OAuth's own form
// (RFC 6749, section 5.2) reaches its user.
func answerDiscovery(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, err := io.WriteString(w, `{"error":"invalid_request","error_description":"This server takes an API key, not OAuth: send the header Authorization: Bearer sk-..."}`)
	return err
}
