package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/identity"
)

// maxBody is the longest request body, in bytes.
const maxBody = 64 << 10

// object is a JSON object from a request's body: the fields' values by name.
type object map[string]json.RawMessage

// readBody reads a request's body: one JSON object in UTF-8 of at most maxBody
// bytes whose fields are among names.
func readBody(r *http.Request, names []string) (object, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return nil, unsupported("the body must be JSON: send the header Content-Type: application/json")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, unsupported("the body must be in UTF-8: leave charset out of Content-Type")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, unsupported("the body must be sent as it is, without Content-Encoding")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || len(body) > maxBody {
		return nil, &problem{
			status: http.StatusRequestEntityTooLarge, code: "body_too_large",
			message: fmt.Sprintf("the body is longer than %d bytes", maxBody),
		}
	}
	if err != nil {
		return nil, invalid("the body ended before it was complete")
	}
	return parseObject(body, names)
}

// requireNoBody returns an error if a request that takes no body has one: its
// sender expects something else of it.
func requireNoBody(r *http.Request) error {
	if n, _ := io.ReadFull(r.Body, make([]byte, 1)); n > 0 {
		return invalid("there is a body: this takes none")
	}
	return nil
}

// parseObject reads one JSON object whose fields are among names, each at most
// once and spelled exactly so.
func parseObject(body []byte, names []string) (object, error) {
	switch {
	case len(bytes.TrimLeft(body, jsonSpace)) == 0:
		return nil, invalid("the body is empty: send a JSON object with %s", list(names))
	case !utf8.Valid(body):
		return nil, invalid("the body is not valid UTF-8")
	}

	dec := json.NewDecoder(bytes.NewReader(body))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, invalid("the body is not valid JSON at byte %d", syntax.Offset)
		}
		return nil, invalid("the body is not valid JSON: it ends too early")
	}
	if len(bytes.TrimLeft(body[dec.InputOffset():], jsonSpace)) > 0 {
		return nil, invalid("the body has more after its JSON object, from byte %d on", dec.InputOffset()+1)
	}
	if value[0] != '{' {
		return nil, invalid("the body must be a JSON object with %s, not %s", list(names), jsonType(value))
	}

	o := object{}
	dec = json.NewDecoder(bytes.NewReader(value))
	if _, err := dec.Token(); err != nil { // the opening brace
		return nil, err
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err // the value was found valid above
		}
		name, _ := token.(string) // an object's names are strings
		if !slices.Contains(names, name) {
			return nil, invalid("unknown field %s: the fields are %s", quote(name), list(names))
		}
		if _, again := o[name]; again {
			return nil, invalid("%s is given twice", name)
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		o[name] = v
	}
	return o, nil
}

// jsonSpace is the whitespace of JSON (RFC 8259 section 2).
const jsonSpace = " \t\r\n"

// jsonType returns the type of a JSON value, with its article.
func jsonType(v json.RawMessage) string {
	switch v[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// quote quotes a value that the client sent, for a message.
func quote(s string) string { return identity.Quote(s) }

// list joins names as in a sentence: "a, b and c".
func list(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
