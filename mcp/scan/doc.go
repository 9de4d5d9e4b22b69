// Package scan reads what an upstream answers while it passes, as JSON or as an
// event stream: replies to calls, and in them a tool's table names and record
// count, where the rule for the tool says that they stand.
//
// A Rule has paths. An Extractor is a rule made ready: its paths, put together
// into a tree (plan). A Scanner follows the messages of a body along that tree
// (document), reads what tools put into texts (textReader and the text_ files),
// and remembers what it finds (matches). What was found in the request and in
// the reply together is Facts. Nothing is gathered, and what cannot be known is
// unknown, with a Reason.
package scan
