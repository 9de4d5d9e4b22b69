package admin

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// firstError keeps the first thing that is wrong with a request. So a handler
// reads all that it needs, and then checks for an error once.
type firstError struct{ err error }

func (f *firstError) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// bodyFields are the fields of a request's body. What a method returns after an error is
// not to be used.
type bodyFields struct {
	object
	firstError
}

// given reports whether a field is there.
func (b *bodyFields) given(name string) bool {
	_, given := b.object[name]
	return given
}

// givenValue reports whether a field is there and not null.
func (b *bodyFields) givenValue(name string) bool {
	return b.given(name) && string(b.object[name]) != "null"
}

// decode decodes a field into a string, a slice or an object. The field must begin
// with the character that such a value begins with in JSON; kind describes it.
func (b *bodyFields) decode(name string, begin byte, kind string, into any) {
	if v := b.object[name]; v[0] != begin {
		b.fail(invalid("%s must be %s, not %s", name, kind, jsonType(v)))
	} else if err := json.Unmarshal(v, into); err != nil {
		b.fail(err)
	}
}

func (b *bodyFields) decodeString(name string) (s string) {
	b.decode(name, '"', "a string", &s)
	return s
}

// text returns a field that must be a string and not empty.
func (b *bodyFields) text(name string) string {
	if !b.given(name) {
		b.fail(invalid("%s is missing", name))
		return ""
	}
	s := b.decodeString(name)
	if s == "" {
		b.fail(invalid("%s is empty", name))
	}
	return s
}

// optionalText returns a field that may be left out or null. It is a string of at most
// longest printable characters and line ends, and may be empty.
func (b *bodyFields) optionalText(name string, longest int) string {
	if !b.givenValue(name) {
		return ""
	}
	s := b.decodeString(name)
	if utf8.RuneCountInString(s) > longest {
		b.fail(invalid("%s is longer than %d characters", name, longest))
	}
	if !identity.IsText(s) {
		b.fail(invalid("%s has characters that cannot be printed", name))
	}
	return s
}

// wholeNumber returns a field that must be a whole number from lowest to highest,
// or fallback if it is absent or null.
func (b *bodyFields) wholeNumber(name string, fallback, lowest, highest int) int {
	if !b.givenValue(name) {
		return fallback
	}
	v := b.object[name]
	n, err := strconv.Atoi(string(v)) // a JSON number has no + and no leading 0
	if err != nil || n < lowest || n > highest || string(v) == "-0" {
		got := jsonType(v)
		if got == "a number" {
			got = quote(string(v))
		}
		b.fail(invalid("%s must be a whole number from %d to %d, not %s", name, lowest, highest, got))
	}
	return n
}

// texts returns a field that may be left out or null, and must otherwise be an
// array of strings.
func (b *bodyFields) texts(name string) []string {
	if !b.givenValue(name) {
		return nil
	}
	var items []json.RawMessage
	b.decode(name, '[', "an array of strings", &items)
	texts := make([]string, len(items))
	for i, item := range items {
		if item[0] != '"' {
			b.fail(invalid("%s must be an array of strings, but number %d in it is %s", name, i+1, jsonType(item)))
		} else if err := json.Unmarshal(item, &texts[i]); err != nil {
			b.fail(err)
		}
	}
	return texts
}

// boolean returns a field that is false if it is left out or null.
func (b *bodyFields) boolean(name string) bool {
	v := b.object[name]
	if b.givenValue(name) && string(v) != "true" && string(v) != "false" {
		b.fail(invalid("%s must be true or false, not %s", name, jsonType(v)))
	}
	return string(v) == "true"
}

// email returns the field email, which must be an address, normalized as in the
// store.
func (b *bodyFields) email() string {
	email, err := identity.NormalizeEmail(b.text("email"))
	b.fail(invalidField("email", err))
	return email
}

// id returns a field that must be an ID, and the error to return if nothing has
// that ID. If the field is not an ID at all, that is the body's error.
func (b *bodyFields) id(name, thing string) (id string, missing *problem) {
	sent := b.text(name)
	missing = notFound("there is no %s with the %s %s", thing, name, quote(sent))
	id, valid := canonicalID(sent)
	if !valid {
		b.fail(missing)
	}
	return id, missing
}

// canonicalID returns an ID in the form that the store and the ledger use, and
// reports whether s is an ID.
func canonicalID(s string) (string, bool) {
	id, err := uuid.Parse(s)
	return id.String(), err == nil && len(s) == len(id.String())
}

// moment returns a field that may be left out or null, and must otherwise be a time
// in RFC 3339, or a day, which stands for its end.
func (b *bodyFields) moment(name string) time.Time {
	if !b.givenValue(name) {
		return time.Time{}
	}
	s := b.decodeString(name)
	t, err := usage.ParseTime(s, usage.End)
	if err != nil {
		b.fail(invalid("%s must be %v, not %s", name, err, quote(s)))
	}
	return t
}

// limits returns the field limits. If it is left out or null, there are none.
func (b *bodyFields) limits() (l identity.Limits) {
	if !b.givenValue("limits") {
		return l
	}
	v := b.object["limits"]
	if v[0] != '{' {
		b.fail(invalid("limits must be an object with %s, not %s", list(identity.LimitNames()), jsonType(v)))
		return l
	}
	o, err := parseObject(v, identity.LimitNames())
	inner := bodyFields{o, firstError{err}}
	for _, f := range identity.LimitFields {
		*f.Of(&l) = int64(inner.wholeNumber(f.Name, 0, 1, identity.MaxLimit))
	}
	if inner.err != nil {
		b.fail(invalid("limits: %v", inner.err))
	}
	b.fail(invalidField("limits", l.Check()))
	return l
}

// showLimits returns limits as a reply shows them: null where there is none.
func showLimits(l identity.Limits) map[string]*int64 {
	shown := make(map[string]*int64, len(identity.LimitFields))
	for _, f := range identity.LimitFields {
		shown[f.Name] = orNull(*f.Of(&l))
	}
	return shown
}

// orNull returns a value in a reply, which is null if it is zero.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// items is a list in a reply.
type items[T any] struct {
	Items []T `json:"items"`
}

// showAll returns a list of things, each as show returns it.
func showAll[T, R any](things []T, show func(T) R) items[R] {
	shown := make([]R, len(things))
	for i, thing := range things {
		shown[i] = show(thing)
	}
	return items[R]{shown}
}
