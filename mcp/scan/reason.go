package scan

// Reason is why the tables or the record count of a call are unknown. Its text
// is a label of a metric and does not change.
type Reason uint8

// The reasons. Where several apply, the last of them in this order is given, as
// the most specific.
const (
	Known         Reason = iota
	NoRule               // the rule has no path for it
	NotFound             // there is no value at the path
	NotCounted           // the statement has no rows to count: DDL, EXPLAIN, or several statements of different kinds
	WrongType            // the value is not a table name, a whole number or an array of rows
	WrongFormat          // the text is not in the format that the rule names
	SQLUnread            // the query cannot be parsed
	Unchecked            // the JSON in a text was not checked, because structured content was expected: see Habit
	OverCap              // the value exists but is larger than the caps allow
	Contradiction        // two values that should agree do not
)

var reasonNames = [...]string{
	Known: "", NoRule: "no_rule", NotFound: "not_found", NotCounted: "not_counted", WrongType: "wrong_type",
	WrongFormat: "wrong_format", SQLUnread: "sql_unread", Unchecked: "unchecked", OverCap: "over_cap", Contradiction: "contradiction",
}

func (r Reason) String() string { return reasonNames[r] }

// Reasons returns all of them except Known.
func Reasons() []Reason {
	return []Reason{NoRule, NotFound, NotCounted, WrongType, WrongFormat, SQLUnread, Unchecked, OverCap, Contradiction}
}
