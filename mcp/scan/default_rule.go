package scan

import "slices"

// Line is a line of the default rule: places with the same meaning, and the
// reason for it. Of each source (the structured content, the texts, a number),
// the first line that is known counts. The sources have to agree.
type Line struct {
	Name   string // the label of a metric
	Places []string
	Why    string

	source source
	boxed  bool // the rows are under a name, in an object that may also have their number
}

// The names that servers use.
var (
	rowNames      = []string{"rows.#", "records.#", "data.rows.#", "data.#"}
	affectedPaths = slices.Concat(affectedNames, []string{"changes"}, under("data.", affectedNames), under("result.", affectedNames))
)

// DefaultLines are the places where the default rule looks for a record count.
// docs/metering.md lists them.
var DefaultLines = []*Line{
	{Name: "structured_rows", boxed: true, source: sourceStructured, Places: structured(rowNames...),
		Why: "rows in the structured content, under a name that means rows"},
	{Name: "structured_results", source: sourceStructured, Places: sum(structured("results.#.rows.#", "data.statements.#.rows.#")),
		Why: "the results of several statements, each with rows"},
	{Name: "structured_list", source: sourceStructured, Places: structured("results.#", "data.results.#", "result.#", "result.rows.#"),
		Why: "a list as the result: where FastMCP wraps one, and where there is one statement"},
	{Name: "text_rows", boxed: true, source: sourceText, Places: texts("@embedded|", rowNames...),
		Why: "the same names in JSON that is a text, or stands in one"},
	{Name: "text_results", source: sourceText, Places: texts("@embedded|", "results.#.rows.#", "data.statements.#.rows.#"),
		Why: "the results of several statements, likewise"},
	{Name: "text_list", source: sourceText, Places: texts("@embedded|", "#", "results.#", "data.results.#", "result.#", "result.rows.#"),
		Why: "a JSON array of rows in a text"},
	{Name: "resource_rows", source: sourceText, Places: sum(under("result.content.#.resource.text|@embedded|", append([]string{"#"}, rowNames...))),
		Why: "the same in an embedded resource"},
	{Name: "text_lines", source: sourceText, Places: texts("@ndjson:2|", "#"),
		Why: "a JSON object a line, or a text; one alone may be a row or a status"},
	{Name: "text_python", source: sourceText, Places: texts("@python|", "#", "rows.#", "data.#", "result.#"),
		Why: "a Python list as repr writes it, or in a dict"},
	{Name: "text_markdown", source: sourceText, Places: texts("@markdown:only|", "#"),
		Why: "a Markdown table and nothing else"},
	{Name: "text_vertical", source: sourceText, Places: texts("@vertical|", "#"),
		Why: "rows one below the other, numbered"},
	{Name: "text_tagged", source: sourceText, Places: []string{
		"result.content.0.text|@fromstr|@tagged:untrusted-data|@fromstr|#",
		"result.content.0.text|@embedded|result|@tagged:untrusted-data|@fromstr|#"},
		Why: "rows between tags that warn of what is in them"},
	{Name: "structured_lists", source: sourceStructuredLists, Places: sum(structured("result.#.#", "results.#.#")),
		Why: "a list of rows for each of several statements, where the call has several"},
	{Name: "text_lists", source: sourceTextLists, Places: texts("@embedded|", "#.#", "results.#.#", "result.#.#"),
		Why: "the same in a text"},
	{Name: "number", source: sourceNumber, Places: slices.Concat(
		structured("row_count", "rowCount", "data.count"), texts("@embedded|", "row_count", "rowCount", "data.count")),
		Why: "a number of rows beside them, which has to be theirs; alone it counts for a write only"},
	{Name: "text_no_rows", source: sourceNone, Places: texts("@norows"),
		Why: "a short text that says so: No rows returned"},
}

// AffectedLines are the places where it looks for a number of affected rows.
var AffectedLines = []*Line{
	{Name: "structured_affected", Places: slices.Concat(structured(affectedPaths...), structured(under("result.", []string{"changes"})...)),
		Why: "a number under a name that means affected rows"},
	{Name: "text_affected", Places: texts("@embedded|", affectedPaths...),
		Why: "the same in JSON in a text"},
	{Name: "text_statements_affected", Places: texts("@embedded|", "data.statements.#.count"),
		Why: "DBHub's count of each statement"},
	{Name: "text_python_affected", Places: texts("@python|", affectedNames...),
		Why: "the same in a Python dict"},
	{Name: "text_words_affected", Places: texts("@affected"),
		Why: "a short text that says so: 3 rows affected"},
}

// DefaultRule is for tools that no other rule matches. It knows the shapes that
// public MCP servers for databases have in common, as far as they have one
// meaning only; a shape that could mean something else stays unknown.
// docs/metering.md names the servers.
var DefaultRule = func() Rule {
	r := Rule{
		Tool: "*",
		Tables: []string{"first(" +
			"arguments.table, arguments.table_name, arguments.tableName, arguments.tables, arguments.table_names, " +
			"arguments.sql|@sql, arguments.query|@sql, arguments.statement|@sql, " +
			"arguments.sqlStatements|@sql, arguments.sqlStatements.#|@sql, " +
			"arguments.params.sql|@sql, arguments.params.sqlStatements|@sql, arguments.params.sqlStatements.#|@sql, " +
			"arguments.collection, arguments.index, " +
			"result.structuredContent.table)",
		},
	}
	for _, l := range DefaultLines {
		r.Records = append(r.Records, l.Places...)
		r.lines = append(r.lines, slices.Repeat([]*Line{l}, len(l.Places))...)
	}
	for _, l := range AffectedLines {
		r.Affected = append(r.Affected, l.Places...)
	}
	return r
}()

// LineNames are the names of all lines, in order.
var LineNames []string

// lineOf maps the rank of a place of DefaultRule to the index in LineNames of
// its line.
var lineOf []int

func init() {
	for i, l := range slices.Concat(DefaultLines, AffectedLines) {
		LineNames = append(LineNames, l.Name)
		lineOf = append(lineOf, slices.Repeat([]int{i}, len(l.Places))...)
	}
}

// Line returns the name of the line of DefaultRule that Records was found by. It
// is "" if Records is unknown or found by an operator's rule.
func (f Facts) Line() string {
	if !f.RecordsKnown || f.operator {
		return ""
	}
	return LineNames[lineOf[f.rank]]
}

func under(before string, names []string) (paths []string) {
	for _, name := range names {
		paths = append(paths, before+name)
	}
	return paths
}

func structured(names ...string) []string { return under("result.structuredContent.", names) }

func sum(paths []string) (sums []string) {
	for _, path := range paths {
		sums = append(sums, "sum("+path+")")
	}
	return sums
}

// texts returns places in the texts of a result, summed over all of them.
func texts(modifier string, names ...string) []string {
	if len(names) == 0 {
		names = []string{""}
	}
	return sum(under("result.content.#.text|"+modifier, names))
}
