package stockmcp

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// policy is SQLite's authorizer, which is called while a statement is compiled. It
// allows reading our own tables and common table expressions; anything else, such
// as INSERT, ATTACH and PRAGMA, does not compile. It also records which tables are
// read.
type policy struct {
	read   map[string]bool
	denied string // the first action that was not allowed
}

// install sets the policy of a connection, replacing an earlier one, and sets the
// limits that SQLite enforces itself.
func (p *policy) install(conn *sql.Conn) error {
	p.read = make(map[string]bool)
	for limit, value := range map[int]int{
		sqlite3.SQLITE_LIMIT_LENGTH:              maxValue,
		sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 256,
		sqlite3.SQLITE_LIMIT_EXPR_DEPTH:          100,
		sqlite3.SQLITE_LIMIT_ATTACHED:            0,
	} {
		if _, err := sqlite.Limit(conn, limit, value); err != nil {
			return err
		}
	}
	return conn.Raw(func(driverConn any) error {
		return driverConn.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(p.authorize)
	})
}

func (p *policy) authorize(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	var refused string
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRecursive:
	case sqlite.AuthRead:
		// Without a column, the whole table is named. It may be a common table
		// expression, and nothing but the number of its rows is read.
		if name := strings.ToLower(arg1); tableNamed(name) != nil {
			p.read[name] = true
		} else if arg2 != "" {
			refused = fmt.Sprintf("the table %q; there are %s", arg1, strings.Join(tableNames(), ", "))
		}
	case sqlite.AuthFunction:
		if !slices.Contains(functions, strings.ToLower(arg2)) {
			refused = fmt.Sprintf("the function %s; there are %s", arg2, strings.Join(functions, ", "))
		}
	default:
		refused = "this kind of statement; only SELECT, WITH and VALUES are"
	}
	if refused == "" {
		return sqlite.AuthorizerOK
	}
	if p.denied == "" {
		p.denied = refused
	}
	return sqlite.AuthorizerDeny
}

// functions has the functions whose cost is at most linear in maxValue, so that a
// query can always be interrupted between two rows. replace, instr and trim are not
// among them.
var functions = strings.Fields(`abs avg ceil ceiling coalesce concat concat_ws count cume_dist date
	datetime dense_rank exp first_value floor format glob group_concat ifnull iif julianday lag
	last_value lead length like ln log log10 lower max min mod nth_value ntile nullif percent_rank
	pow power printf rank round row_number sign sqrt strftime string_agg substr substring sum time
	total trunc typeof unixepoch upper`)

// explain returns what the policy denied if that is the reason for SQLite's error.
func (p *policy) explain(err error) error {
	var refusal *sqlite.Error
	if errors.As(err, &refusal) && p.denied != "" {
		return errors.New("not allowed: " + p.denied)
	}
	return err
}

func (p *policy) tablesRead() []string {
	names := []string{}
	for _, name := range tableNames() {
		if p.read[name] {
			names = append(names, name)
		}
	}
	return names
}
