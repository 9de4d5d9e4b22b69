// Package scan reads the replies of an upstream while they pass, as JSON or as
// an event stream. For each call it finds the table names and the record count,
// at the places that the rule for the tool names. It buffers no reply: what
// cannot be known in one pass stays unknown, with a Reason.
//
// A Rule has paths, and NewExtractors turns rules into extractors. A Scanner
// takes a response body in chunks of any size and calls back for each Reply;
// Reply.Facts then returns what an Extractor found in it. Extractor.FromCall
// does the same for the request, and Facts.Merge puts both together.
//
// The words that the code uses:
//
//   - rule: where one tool's tables and record count stand, as an operator
//     writes it (rule.go, term.go, path.go). DefaultRule is for tools without
//     one.
//   - place: one path of a rule. Of several places, the first that is known
//     counts; its index is its rank.
//   - line: a named group of places of the default rule (default_rule.go).
//   - target: one value to look for: a place, or a field that every reply has,
//     such as its id (plan.go).
//   - plan: the paths of all targets as a trie. A node is a position in the
//     document, with the targets at it and below.
//   - document: a JSON value that is followed along a plan, chunk by chunk
//     (document.go).
//   - text: a string of a document that holds data itself, such as CSV or JSON.
//     A textReader follows it (text.go and the text_ files, one for each
//     format).
//   - answer: what has been found for one target so far (matches.go).
//   - reply: a JSON-RPC response, with what was found in it (reply.go).
//   - facts: the tables and the record count of a call, decided from all
//     answers (facts.go, counts.go).
package scan
