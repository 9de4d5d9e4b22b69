package admin

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

// text returns a field that must be a string and not empty.
func (o object) text(name string) (string, error) {
	v, given := o[name]
	if !given {
		return "", invalid("%s is missing", name)
	}
	var s string
	if v[0] != '"' {
		return "", invalid("%s must be a string, not %s", name, jsonType(v))
	}
	if err := json.Unmarshal(v, &s); err != nil {
		return "", err
	}
	if s == "" {
		return "", invalid("%s is empty", name)
	}
	return s, nil
}

// wholeNumber returns a field that must be a whole number from 1 to
// highest, or 0 if it is absent or null.
func (o object) wholeNumber(name string, highest int) (int, error) {
	return o.wholeNumberFrom(1, name, 0, highest)
}

// wholeNumberFrom returns a field that must be a whole number from lowest to
// highest, or fallback if it is absent or null.
func (o object) wholeNumberFrom(lowest int, name string, fallback, highest int) (int, error) {
	v, given := o[name]
	if !given || string(v) == "null" {
		return fallback, nil
	}
	n, err := strconv.Atoi(string(v)) // a JSON number has no + and no leading 0
	if err != nil || n < lowest || n > highest || string(v) == "-0" {
		got := jsonType(v)
		if got == "a number" {
			got = quote(string(v))
		}
		return 0, invalid("%s must be a whole number from %d to %d, not %s", name, lowest, highest, got)
	}
	return n, nil
}

// optionalText returns a field that may be left out. It must be a string of at most
// longest printable characters and line ends, and may be empty.
func (o object) optionalText(name string, longest int) (s string, given bool, err error) {
	v, given := o[name]
	if !given {
		return "", false, nil
	}
	if v[0] != '"' {
		return "", true, invalid("%s must be a string, not %s", name, jsonType(v))
	}
	if err := json.Unmarshal(v, &s); err != nil {
		return "", true, err
	}
	if n := utf8.RuneCountInString(s); n > longest {
		return "", true, invalid("%s is longer than %d characters", name, longest)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		return "", true, invalid("%s has characters that cannot be printed", name)
	}
	return s, true, nil
}

// texts returns a field that may be left out or null, and must otherwise be an
// array of strings.
func (o object) texts(name string) (texts []string, given bool, err error) {
	v, given := o[name]
	if !given || string(v) == "null" {
		return nil, given, nil
	}
	var items []json.RawMessage
	if v[0] != '[' {
		return nil, true, invalid("%s must be an array of strings, not %s", name, jsonType(v))
	}
	if err := json.Unmarshal(v, &items); err != nil {
		return nil, true, err
	}
	texts = make([]string, len(items))
	for i, item := range items {
		if item[0] != '"' {
			return nil, true, invalid("%s must be an array of strings, but number %d in it is %s", name, i+1, jsonType(item))
		}
		if err := json.Unmarshal(item, &texts[i]); err != nil {
			return nil, true, err
		}
	}
	return texts, true, nil
}

// boolean returns a field that is false if it is left out.
func (o object) boolean(name string) (bool, error) {
	switch v, given := o[name]; {
	case !given || string(v) == "false":
		return false, nil
	case string(v) == "true":
		return true, nil
	default:
		return false, invalid("%s must be true or false, not %s", name, jsonType(v))
	}
}

// email returns a field that must be an email address, normalized as in the store.
func (o object) email(name string) (string, error) {
	sent, err := o.text(name)
	if err != nil {
		return "", err
	}
	email, err := identity.NormalizeEmail(sent)
	if err != nil {
		return "", invalidField(name, err)
	}
	return email, nil
}

// id returns a field that must be an ID, and the error to return if nothing has
// that ID. If the field is not an ID at all, it returns that error.
func (o object) id(name, thing string) (id string, missing *problem, err error) {
	sent, err := o.text(name)
	if err != nil {
		return "", nil, err
	}
	missing = notFound("there is no %s with the %s %s", thing, name, quote(sent))
	id, valid := canonicalID(sent)
	if !valid {
		return "", missing, missing
	}
	return id, missing, nil
}

// canonicalID returns an ID in the form that the store and the ledger use, and
// reports whether s is an ID.
func canonicalID(s string) (string, bool) {
	id, err := uuid.Parse(s)
	return id.String(), err == nil && len(s) == len(id.String())
}

// moment returns a field that may be left out or null, and must otherwise be a time
// in RFC 3339, or a day, which stands for its end.
func (o object) moment(name string) (t time.Time, given bool, err error) {
	v, given := o[name]
	if !given || string(v) == "null" {
		return time.Time{}, given, nil
	}
	if v[0] != '"' {
		return time.Time{}, true, invalid("%s must be a string, not %s", name, jsonType(v))
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return time.Time{}, true, err
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		s = day.AddDate(0, 0, 1).Format(time.RFC3339)
	}
	if t, err = parseMoment(s); err != nil {
		return time.Time{}, true, invalid("%s must be a day or a time in RFC 3339 in the years 1970 to 2199, like 2026-11-23 or 2026-11-23T18:00:00Z, not %s", name, quote(s))
	}
	return t, true, nil
}

// limits returns the field limits. If it is left out or null, there are none.
func (o object) limits() (l identity.Limits, given bool, err error) {
	v, given := o["limits"]
	if !given || string(v) == "null" {
		return l, given, nil
	}
	if v[0] != '{' {
		return l, true, invalid("limits must be an object with %s, not %s", list(identity.LimitNames()), jsonType(v))
	}
	fields, err := parseObject(v, identity.LimitNames())
	if err != nil {
		return l, true, invalid("limits: %v", err)
	}
	for _, f := range identity.LimitFields {
		n, err := fields.wholeNumber(f.Name, identity.MaxLimit)
		if err != nil {
			return l, true, invalid("limits: %v", err)
		}
		*f.Of(&l) = int64(n)
	}
	if err := l.Check(); err != nil {
		return l, true, invalidField("limits", err)
	}
	return l, true, nil
}

// shownLimits is limits in a reply: null where there is none.
type shownLimits struct {
	CallsPerMinute  *int64 `json:"calls_per_minute"`
	Burst           *int64 `json:"burst"`
	CallsPerDay     *int64 `json:"calls_per_day"`
	RecordsPerDay   *int64 `json:"records_per_day"`
	ConcurrentCalls *int64 `json:"concurrent_calls"`
}

// showLimits returns limits as a reply shows them.
func showLimits(l identity.Limits) shownLimits {
	orNull := func(limit int64) *int64 {
		if limit == 0 {
			return nil
		}
		return &limit
	}
	return shownLimits{
		CallsPerMinute: orNull(l.CallsPerMinute), Burst: orNull(l.Burst),
		CallsPerDay: orNull(l.CallsPerDay), RecordsPerDay: orNull(l.RecordsPerDay),
		ConcurrentCalls: orNull(l.ConcurrentCalls),
	}
}
