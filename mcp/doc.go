// Package mcp reads MCP messages as clients send them: the strict reader of a
// request body (Body, Message, CheckContent) and ids. Its sub-packages read what
// upstreams answer (scan), take tools out of lists (toolfilter), and find the
// tables that a query names (sql). It does no I/O and knows no HTTP server.
//
// The reader exists because a gate that reads a message differently from the
// upstream behind it can be talked past. Decoders disagree on names that occur
// twice, on names that differ in letter case, on bytes after the value, on
// broken Unicode, and more. Whatever two decoders could read in two ways is
// refused, so that the message that was authorized is the message that the
// upstream runs.
package mcp
