package usage

// passing, where a test sets it, is told of each step that an event takes on
// its way to the ledger, before the step is taken: a process may die there.
var passing func(step string)

func pass(step string) {
	if passing != nil {
		passing(step)
	}
}
