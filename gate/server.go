package gate

import (
	"fmt"
	"regexp"
)

// DefaultServer is the name of a server that the config does not name.
const DefaultServer = "default"

// serverName matches the names of servers. A name has no slash and no *, so that
// it can stand before the slash of a scope.
var serverName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckServer returns an error that says what is wrong with the name of a server,
// or nil.
func CheckServer(name string) error {
	if !serverName.MatchString(name) {
		return fmt.Errorf("the server name %q must be 1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or a digit, as in stock-data", clip(name))
	}
	return nil
}
