package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/tallygate/tallygate/mcp"
)

// Codes of the gate's own JSON-RPC errors. They lie outside -32768…-32000,
// which JSON-RPC 2.0 (section 5.1) and MCP keep for themselves, and begin with
// the HTTP status they come with.
const (
	codeKeyRequired = 40101
	codeKeyInvalid  = 40102
	codeOrigin      = 40301
	codeScope       = 40302
	codeSession     = 40401
	codeTooLarge    = 41301
	codeLimit       = 42901
	codeThrottled   = 42902
	codeEncodedList = 50201
	codeUnavailable = 50301
	codeUnrecorded  = 50302
)

// refusal is why a request does not reach the upstream.
type refusal struct {
	status  int
	id      []byte   // of the request, as JSON text; nil when unknown
	batch   [][]byte // the ids of a batch's requests, which are answered each; nil for one answer
	code    int
	message string
	cause   error // for the log, not for the client

	retryAfter time.Duration // zero: not said
}

func unauthorized(code int, message string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: code, message: message}
}

// badRequest refuses what the strict reader refused.
func badRequest(err error) *refusal {
	ref := &refusal{status: http.StatusBadRequest, code: mcp.CodeInvalidRequest, message: err.Error()}
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

// refuse answers with a JSON-RPC error. A session of the official Go SDK
// outlives it because it is JSON and echoes the request's id.
func refuse(w http.ResponseWriter, ref refusal) error {
	if ref.cause != nil {
		caddy.Log().Named("http.handlers.tallygate").Error(ref.message, zap.Error(ref.cause))
	}
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
		h.Set("Retry-After", strconv.FormatInt(seconds(ref.retryAfter), 10))
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(ref.status)
	_, err := w.Write(body)
	return err
}

// answer is the error that answers the request with an id, nil when unknown.
func (ref *refusal) answer(id []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	message, _ := json.Marshal(ref.message) // a string always encodes
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}`, id, ref.code, message)
}

// seconds is a time to wait in whole seconds, at least 1.
func seconds(wait time.Duration) int64 {
	return max(1, int64((wait+time.Second-1)/time.Second))
}

// requestIDs are the ids of a batch's requests; nil for what is no batch.
func requestIDs(body *mcp.Body) (ids [][]byte) {
	if !body.Batch {
		return nil
	}
	for i := range body.Messages {
		if m := &body.Messages[i]; m.Kind == mcp.Request {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// refuseDiscovery tells a client that looks for an authorisation server that
// there is none. An empty 200 would break it; an error in OAuth's own form
// (RFC 6749, section 5.2) reaches its user.
func refuseDiscovery(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, err := io.WriteString(w, `{"error":"invalid_request","error_description":"This server takes an API key, not OAuth: send the header Authorization: Bearer sk-..."}`)
	return err
}
