package scan

// Reason is why a question about a call has no answer. Its text is stable: it
// is the label of a metric.
type Reason uint8

// The reasons, from the least to the most telling.
const (
	Known         Reason = iota
	NoRule               // the tool's rule does not say where to look
	NotFound             // nothing stands where the rule says
	NotCounted           // the statement has no rows to count: DDL, EXPLAIN, several of different kinds
	WrongType            // what stands there is no table name, no whole number, no array of rows
	WrongFormat          // a text is not of the format that the rule says
	SQLUnread            // a query cannot be read
	Unchecked            // the JSON in a text was not checked, since structured content was expected: Habit
	OverCap              // there is an answer, but more or longer than is kept
	Contradiction        // two signs of the same thing differ
)

var reasonNames = [...]string{
	Known: "", NoRule: "no_rule", NotFound: "not_found", NotCounted: "not_counted", WrongType: "wrong_type",
	WrongFormat: "wrong_format", SQLUnread: "sql_unread", Unchecked: "unchecked", OverCap: "over_cap", Contradiction: "contradiction",
}

func (r Reason) String() string { return reasonNames[r] }

// Reasons are all of them, but for Known.
func Reasons() []Reason {
	return []Reason{NoRule, NotFound, NotCounted, WrongType, WrongFormat, SQLUnread, Unchecked, OverCap, Contradiction}
}
