// Package sql finds the tables that an SQL query names, and what kind of
// statement it is, for a meter that must never be wrong: where the package does
// not understand a query to its end, it says that the tables are unknown.
//
// It is not a parser and builds no tree. A lexer (token.go, lexer.go) makes the
// query a list of tokens in which each bracket knows its other half. The reader
// then goes through the tokens once. Nothing recurses, what has to be remembered
// is kept in slices that are used again for the next query, and the time taken is
// proportional to the length of the query, whatever is in it.
//
// # Frames and states
//
// What is open is kept on a stack of frames (reader.go): the statement itself,
// and each bracket in it. The innermost frame has a state, which says what the
// next token is taken for:
//
//   - atStart: the first word of a query or of another statement (query.go,
//     statement.go)
//   - atCTE, afterCTE: the expressions of WITH (cte.go)
//   - atTable: a table, or what may stand in its place: a bracket with a query or
//     a join, a function, VALUES, a variable (table.go, mention.go)
//   - afterTable: an alias, a join, a sample, the next clause (table.go, join.go)
//   - inExpression: anything up to the word that begins the next clause (query.go,
//     clause.go)
//   - inInsert: what stands between the table of an INSERT and its rows (write.go)
//   - inDefinition, inColumns: CREATE and ALTER (define.go)
//   - inRest: an end in which only sub-queries in brackets mean something
//
// A bracket begins a frame whose state follows from the state that it stands in:
// a query or a join at atTable, columns behind the name of a new table, an
// expression elsewhere, unless SELECT or the like is the first word in it. So
// the FROM of EXTRACT(day FROM d) is not that of a clause: its frame is no query.
// Words that begin clauses are words of clauses only in frames that are queries.
// A word that cannot stand where it does, two words too many in a row, or an end
// in the middle of something, and the query is given up as no SQL: prose soon
// meets one of these.
//
// # Names
//
// The names of common table expressions are a stack with a hash table (names.go);
// a frame that ends takes away those that it brought. WITH declares all its names
// beforehand, so that it can be told when one is used before its definition or in
// it, where dialects differ in what that means. The names of tables that were
// read are mentions. At the end of the statement those are dropped that turned
// out to be something else: the alias of a source (UPDATE o SET … FROM orders o),
// or a path into the columns of a range variable (FROM orders o, o.lines).
//
// # An example
//
//	WITH recent AS (SELECT * FROM orders) SELECT * FROM recent r JOIN items i ON …
//
// At atStart, WITH declares recent and leads to atCTE; the bracket behind AS is a
// frame at atStart of its own. SELECT there leads to inExpression, FROM to
// atTable, where orders is a mention. The bracket ends; SELECT and FROM lead the
// statement's frame to atTable, where recent is found among the declared names
// and is no table. At afterTable r is an alias, and JOIN leads to atTable again
// for items. ON leads to inExpression, and the end finds orders and items.
//
// # Dialects
//
// Dialects differ in how strings, names and comments are written (dialect.go). A
// query of an unknown dialect is read by the rules of each, as long as a rule in
// which they differ matters to the query. Readings that make no sense do not
// count; if the others differ, the tables are unknown. What a dialect's words
// mean is known to the reader for all dialects at once; it asks for the dialect
// only where the same words mean different things.
//
// # Adding a statement
//
// A statement begins in statement.go with the first word (which keywords.go marks
// as one that starts a statement): read its head with accept, skipWords and
// expectTarget, and leave the frame in the state for what follows: atStart for a
// query, inRest for options. Add the query and its tables to dialects_test.go, and
// see what the judge says (e2e/sqljudge).
package sql
