package usage

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// Bound says what a day stands for where a time is asked for.
type Bound bool

// The bounds. An interval of days includes its last one, so what ends at a day ends
// at the end of it.
const (
	Start Bound = false // the midnight with which it begins
	End   Bound = true  // the midnight with which it ends
)

// ParseTime reads a time that somebody entered: in RFC 3339, or a day in UTC as
// 2006-01-02. The result is in UTC, in the years 1970 to 2199, which every ledger
// can hold. An error's text follows "must be".
func ParseTime(text string, day Bound) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	switch {
	case err != nil:
		t, err = time.Parse(time.RFC3339Nano, text)
		t = t.UTC()
	case day == End:
		t = t.AddDate(0, 0, 1)
	}
	if err != nil || t.Year() < 1970 || t.Year() > 2199 {
		return time.Time{}, errTime
	}
	return t, nil
}

// ParseTTL reads for how many days a ledger keeps events: a number, as in 90d, or
// none, which is 0 and means for ever. ok reports whether the text is one of these.
func ParseTTL(text string) (days int, ok bool) {
	if text == "none" {
		return 0, true
	}
	found := ttl.FindStringSubmatch(text)
	if found == nil {
		return 0, false
	}
	days, err := strconv.Atoi(found[1])
	return days, err == nil
}

var ttl = regexp.MustCompile(`^([1-9][0-9]{0,4})d$`)

var errTime = errors.New("a day or a time in RFC 3339 in the years 1970 to 2199, like 2026-11-23 or 2026-11-23T18:00:00Z")
