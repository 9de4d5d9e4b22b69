package admin

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tallygate/tallygate/usage"
)

// params has a request's query parameters by name. No value is empty.
type params map[string]string

// queryParams are the query parameters of a request. What a method returns after an error
// is not to be used.
type queryParams struct {
	params
	firstError
}

// given reports whether a parameter is there.
func (q *queryParams) given(name string) bool {
	_, given := q.params[name]
	return given
}

// readQuery reads query parameters that are among names, each at most once.
func readQuery(raw string, names []string) (params, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalid("the query string is malformed: percent-encode what is not a letter, a digit or one of -._~")
	}
	q := params{}
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
func (q *queryParams) wholeNumber(name string, fallback, highest int) int {
	v, given := q.params[name]
	if !given {
		return fallback
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 || int(n) > highest {
		q.fail(invalid("%s must be a whole number from 1 to %d, not %s", name, highest, quote(v)))
	}
	return int(n)
}

// moment returns a parameter that must be a time or a day, or the zero time if it
// is absent.
func (q *queryParams) moment(name string, day usage.Bound) time.Time {
	v, given := q.params[name]
	if !given {
		return time.Time{}
	}
	t, err := usage.ParseTime(v, day)
	if err != nil {
		q.fail(invalid("%s must be %v (a + is sent as %%2B), not %s", name, err, quote(v)))
	}
	return t
}

// id returns a parameter that must be an ID, or "" if it is absent. what describes
// the ID in the error's message.
func (q *queryParams) id(name, what string) string {
	sent, given := q.params[name]
	if !given {
		return ""
	}
	id, valid := canonicalID(sent)
	if !valid {
		q.fail(invalid("%s must be %s, not %s", name, what, quote(sent)))
	}
	return id
}

// oneOf returns a parameter that must be one of some values, or "" if it is absent.
func oneOf[T ~string](q *queryParams, name string, values []T) T {
	v := T(q.params[name])
	if v != "" && !slices.Contains(values, v) {
		q.fail(invalid("%s must be one of %v, not %s", name, values, quote(string(v))))
	}
	return v
}

// span returns the parameters from and to, which are zero if they are absent.
func (q *queryParams) span() (from, to time.Time) {
	from, to = q.moment("from", usage.Start), q.moment("to", usage.End)
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		q.fail(invalid("from must be before to"))
	}
	return from, to
}
