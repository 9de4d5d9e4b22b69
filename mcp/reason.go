package mcp

// Reason is why a question about a call has no answer. Its text is stable: it
// is the label of a metric.
type Reason uint8

// The reasons, from the least to the most telling.
const (
	Known       Reason = iota
	NoRule             // the tool's rule does not say where to look
	NotFound           // nothing stands where the rule says
	WrongType          // what stands there is no table name, no whole number, no array
	WrongFormat        // a text is not of the format that the rule says
	SQLUnread          // a query cannot be read
	OverCap            // there is an answer, but more or longer than is kept
)

var reasonNames = [...]string{
	Known: "", NoRule: "no_rule", NotFound: "not_found", WrongType: "wrong_type",
	WrongFormat: "wrong_format", SQLUnread: "sql_unread", OverCap: "over_cap",
}

func (r Reason) String() string { return reasonNames[r] }

// Reasons are all of them, but for Known.
func Reasons() []Reason {
	return []Reason{NoRule, NotFound, WrongType, WrongFormat, SQLUnread, OverCap}
}
