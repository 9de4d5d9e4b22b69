// Package mcp is MCP traffic as bytes: the strict reader of what a client
// sends (Body, Message, CheckContent), the scanners that follow what an
// upstream answers as JSON or as SSE, the extractors that find a tool's table
// names and record count in either. It does no I/O, and it knows neither HTTP servers nor where
// usage is kept.
//
// The reader exists because a gate that reads a message differently from the
// upstream behind it can be talked past. Decoders disagree on names that occur
// twice, on names that differ in letter case, on bytes after the value, on
// broken Unicode, and more. Whatever two decoders could read in two ways is
// refused, so that the message that was authorized is the message that the
// upstream runs.
package mcp
