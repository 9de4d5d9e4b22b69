package usage

// EachEventPaged is EachEvent with pages of the query's own size.
var EachEventPaged = eachEvent
