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

// text returns a field that must be a string with something in it.
func (o object) text(name string) (string, error) {
	v, given := o[name]
	if !given {
		return "", invalid("%s is missing", name)
	}
	var s string
	if v[0] != '"' {
		return "", invalid("%s must be a string, not %s", name, kind(v))
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
// highest, or 0 when it is absent or null.
func (o object) wholeNumber(name string, highest int) (int, error) {
	return o.wholeNumberFrom(1, name, 0, highest)
}

// wholeNumberFrom returns a field that must be a whole number from lowest to
// highest, or fallback when it is absent or null.
func (o object) wholeNumberFrom(lowest int, name string, fallback, highest int) (int, error) {
	v, given := o[name]
	if !given || string(v) == "null" {
		return fallback, nil
	}
	n, err := strconv.Atoi(string(v)) // a JSON number has no + and no leading 0
	if err != nil || n < lowest || n > highest || string(v) == "-0" {
		got := kind(v)
		if got == "a number" {
			got = quote(string(v))
		}
		return 0, invalid("%s must be a whole number from %d to %d, not %s", name, lowest, highest, got)
	}
	return n, nil
}

// words returns a field that may be left out, and must be a string of at most
// longest printable characters and line ends when it is there. It may be empty.
func (o object) words(name string, longest int) (s string, given bool, err error) {
	v, given := o[name]
	if !given {
		return "", false, nil
	}
	if v[0] != '"' {
		return "", true, invalid("%s must be a string, not %s", name, kind(v))
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

// texts returns a field that may be left out or null, and must be an array of
// strings when it is there.
func (o object) texts(name string) (texts []string, given bool, err error) {
	v, given := o[name]
	if !given || string(v) == "null" {
		return nil, given, nil
	}
	var items []json.RawMessage
	if v[0] != '[' {
		return nil, true, invalid("%s must be an array of strings, not %s", name, kind(v))
	}
	if err := json.Unmarshal(v, &items); err != nil {
		return nil, true, err
	}
	texts = make([]string, len(items))
	for i, item := range items {
		if item[0] != '"' {
			return nil, true, invalid("%s must be an array of strings, but number %d in it is %s", name, i+1, kind(item))
		}
		if err := json.Unmarshal(item, &texts[i]); err != nil {
			return nil, true, err
		}
	}
	return texts, true, nil
}

// boolean returns a field that may be left out, which is false.
func (o object) boolean(name string) (bool, error) {
	switch v, given := o[name]; {
	case !given || string(v) == "false":
		return false, nil
	case string(v) == "true":
		return true, nil
	default:
		return false, invalid("%s must be true or false, not %s", name, kind(v))
	}
}

// email returns a field that must be an email address, in the form that users
// are stored under.
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

// id returns a field that must be the ID of something, and missing, which says
// that there is no such thing. What is no ID at all is the ID of nothing.
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

// canonicalID returns an ID as the store and the ledger write it, and whether
// s is one at all.
func canonicalID(s string) (string, bool) {
	id, err := uuid.Parse(s)
	return id.String(), err == nil && len(s) == len(id.String())
}

// moment returns a field that may be left out or null, and must be a time in
// RFC 3339, or a day, whose end is meant, when it is there.
func (o object) moment(name string) (t time.Time, given bool, err error) {
	v, given := o[name]
	if !given || string(v) == "null" {
		return time.Time{}, given, nil
	}
	if v[0] != '"' {
		return time.Time{}, true, invalid("%s must be a string, not %s", name, kind(v))
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

// limits returns the field limits, which may be left out or null, for none.
func (o object) limits() (l identity.Limits, given bool, err error) {
	v, given := o["limits"]
	if !given || string(v) == "null" {
		return l, given, nil
	}
	if v[0] != '{' {
		return l, true, invalid("limits must be an object with %s, not %s", list(identity.LimitNames()), kind(v))
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

// shownLimits are limits in an answer: null where there is none.
type shownLimits struct {
	CallsPerMinute  *int64 `json:"calls_per_minute"`
	Burst           *int64 `json:"burst"`
	CallsPerDay     *int64 `json:"calls_per_day"`
	RecordsPerDay   *int64 `json:"records_per_day"`
	ConcurrentCalls *int64 `json:"concurrent_calls"`
}

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
