package journal

// testHookStep, where a test sets it, is called before each step that an event
// takes on its way to the ledger. The process may die there.
var testHookStep func(step string)

// failpoint marks a step.
func failpoint(step string) {
	if testHookStep != nil {
		testHookStep(step)
	}
}
