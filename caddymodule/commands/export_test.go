package commands

// For the tests in package commands_test, which need a host.
var Extract = extract

type Findings = findings
