package mcp

// DefaultRule is for tools that no rule is for. It holds what public MCP servers
// in front of databases have in common, as far as it means one thing only; what
// could mean another stays unknown. docs/metering.md tells whose shapes these
// are.
var DefaultRule = Rule{
	Tool:    "*",
	Tables:  []string{"first(arguments.table, arguments.table_name)"},
	Records: []string{"result.structuredContent.rows.#"},
}
