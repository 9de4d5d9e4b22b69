package admin

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// query has a request's query parameters by name. No value is empty.
type query map[string]string

// readQuery reads query parameters that are among names, each at most once.
func readQuery(raw string, names []string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalid("the query string is malformed: percent-encode what is not a letter, a digit or one of -._~")
	}
	q := query{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given := values[name]
		switch {
		case !slices.Contains(names, name) && len(names) == 0:
			return nil, invalid("unknown query parameter %s: there are none here", quote(name))
		case !slices.Contains(names, name):
			return nil, invalid("unknown query parameter %s: there are %s", quote(name), list(names))
		case len(given) > 1:
			return nil, invalid("%s is given %d times", name, len(given))
		case given[0] == "":
			return nil, invalid("%s is empty: give it a value or leave it out", name)
		case !utf8.ValidString(given[0]):
			return nil, invalid("%s is not valid UTF-8", name)
		}
		q[name] = given[0]
	}
	return q, nil
}

// wholeNumber returns a parameter that must be a whole number from 1 to
// highest, or fallback if it is absent.
func (q query) wholeNumber(name string, fallback, highest int) (int, error) {
	v, given := q[name]
	if !given {
		return fallback, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 || int(n) > highest {
		return 0, invalid("%s must be a whole number from 1 to %d, not %s", name, highest, quote(v))
	}
	return int(n), nil
}

// moment returns a parameter that must be a time in RFC 3339, or the zero time
// if it is absent.
func (q query) moment(name string) (time.Time, error) {
	v, given := q[name]
	if !given {
		return time.Time{}, nil
	}
	t, err := parseMoment(v)
	if err != nil {
		return time.Time{}, invalid("%s must be a time in RFC 3339 in the years 1970 to 2199, like 2026-11-23T18:00:00Z (a + is sent as %%2B), not %s", name, quote(v))
	}
	return t, nil
}

// id returns a parameter that must be an ID, or "" if it is absent. what describes
// the ID in the error's message.
func (q query) id(name, what string) (string, error) {
	sent, given := q[name]
	if !given {
		return "", nil
	}
	id, valid := canonicalID(sent)
	if !valid {
		return "", invalid("%s must be %s, not %s", name, what, quote(sent))
	}
	return id, nil
}

// span returns the parameters from and to, which are zero if they are absent.
func (q query) span() (from, to time.Time, err error) {
	if from, err = q.moment("from"); err != nil {
		return from, to, err
	}
	if to, err = q.moment("to"); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, invalid("from must be before to")
	}
	return from, to, nil
}

// parseMoment reads a time in RFC 3339, in the years that every ledger can
// hold.
func parseMoment(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if t = t.UTC(); err == nil && (t.Year() < 1970 || t.Year() > 2199) {
		err = errYear
	}
	return t, err
}

var errYear = errors.New("the year is not one of 1970 to 2199")
