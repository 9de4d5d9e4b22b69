package mcp

// DefaultRule is for tools that no rule is for. It holds what public MCP servers
// in front of databases have in common, as far as it means one thing only; what
// could mean another stays unknown. docs/metering.md tells whose shapes these
// are.
var DefaultRule = Rule{
	Tool: "*",
	Tables: []string{"first(" +
		"arguments.table, arguments.table_name, arguments.tableName, arguments.tables, arguments.table_names, " +
		"arguments.sql|@sql, arguments.query|@sql, arguments.statement|@sql, " +
		"result.structuredContent.table)",
	},
	Records: []string{
		// Rows under a name, as JSON.
		"result.structuredContent.rows.#",
		"result.structuredContent.records.#",
		"result.structuredContent.data.rows.#",
		"result.structuredContent.data.#",
		"sum(result.structuredContent.results.#.rows.#)", // of several statements
		"result.structuredContent.results.#",
		"result.structuredContent.result.#", // where FastMCP wraps a list
		"result.structuredContent.#",
		// The same, as JSON in a text.
		"sum(result.content.#.text|@fromstr|#)",
		"sum(result.content.#.text|@fromstr|rows.#)",
		"sum(result.content.#.text|@fromstr|records.#)",
		"sum(result.content.#.text|@fromstr|data.rows.#)",
		"sum(result.content.#.text|@fromstr|data.#)",
		"sum(result.content.#.text|@fromstr|results.#)",
		"sum(result.content.#.text|@fromstr|result.#)",
		// Rows that a text is, and nothing else.
		"sum(result.content.#.text|@ndjson:2|#)",
		"sum(result.content.#.text|@markdown:only|#)",
		"sum(result.content.#.text|@python|#)",
		// Rows between tags that warn of what is in them.
		"result.content.0.text|@fromstr|@tagged:untrusted-data|@fromstr|#",
		"result.content.0.text|@fromstr|result|@tagged:untrusted-data|@fromstr|#",
		// No rows, but how many.
		"result.structuredContent.row_count",
		"result.structuredContent.rowCount",
		"sum(result.content.#.text|@fromstr|row_count)",
		"sum(result.content.#.text|@fromstr|rowCount)",
	},
}
