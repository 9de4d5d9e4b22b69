package mcp

import "unicode/utf8"

// misspells returns the name of the protocol that some decoder takes name for
// although it is spelled differently, or "". Decoders treat as equal:
//   - names in different letter case, as encoding/json does, and Jackson if so
//     configured. That includes Unicode's foldings into ASCII: simple (ſ, K),
//     full (ß, ﬁ) and Turkic (İ, ı), since runtimes differ in which they use;
//   - names with and without underscores and dashes, as encoding/json/v2 does;
//   - names that are equal up to a NUL, where C strings end.
func (r *reader) misspells(name []byte, of owner) (known string) {
	r.foldBuf = AppendFolded(r.foldBuf[:0], name)
	if of == ofMessage {
		known = messageNames[string(r.foldBuf)]
	} else {
		known = paramNames[string(r.foldBuf)]
		if known == "_meta" && string(name) == "meta" {
			return "" // the Python SDK's own name for _meta, which a client may leak
		}
	}
	if known == string(name) {
		return ""
	}
	return known
}

// AppendFolded appends the spelling that name has in common with all the names
// that some decoder takes for it: see misspells. It cuts it to 32 bytes, more
// than any name of the protocol has.
func AppendFolded(dst, name []byte) []byte {
	const longest = 32
	for i := 0; i < len(name) && len(dst) < longest; {
		c := name[i]
		if c >= utf8.RuneSelf {
			char, n := utf8.DecodeRune(name[i:])
			if ascii := foldedToASCII[char]; ascii != "" {
				dst = append(dst, ascii...)
			} else {
				dst = append(dst, name[i:i+n]...)
			}
			i += n
			continue
		}
		i++
		switch {
		case c == 0:
			return dst
		case c == '_', c == '-':
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c|0x20)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// foldedToASCII has every character beyond ASCII that Unicode's CaseFolding.txt
// (C, F and T) folds into ASCII letters, and the dotless i, whose upper case is
// the ASCII letter I.
var foldedToASCII = map[rune]string{
	'ſ': "s", 'K': "k", 'ı': "i", 'İ': "i",
	'ß': "ss", 'ẞ': "ss",
	'ﬀ': "ff", 'ﬁ': "fi", 'ﬂ': "fl", 'ﬃ': "ffi", 'ﬄ': "ffl", 'ﬅ': "st", 'ﬆ': "st",
}

// The protocol's names by their folded spelling.
var (
	messageNames = byFold("jsonrpc", "id", "method", "params", "result", "error")

	// The members of params in any revision, of requests, notifications and the
	// tasks extension, in either direction, since SDKs share the types.
	paramNames = byFold(
		"_meta", "task",
		"protocolVersion", "capabilities", "clientInfo", // initialize
		"name", "arguments", // tools/call, prompts/get
		"inputResponses", "requestState", // requests retried with input
		"uri",                        // resources/*
		"cursor",                     // */list
		"ref", "argument", "context", // completion/complete
		"level",               // logging/setLevel
		"notifications",       // subscriptions/listen
		"requestId", "reason", // notifications/cancelled
		"progressToken", "progress", "total", "message", // notifications/progress
		"taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttl", "pollInterval", // tasks/*
		"data", "logger", // notifications/message
		"mode", "requestedSchema", "url", "elicitationId", // elicitation/create
		"messages", "modelPreferences", "systemPrompt", "includeContext", "temperature", "maxTokens", // sampling/createMessage
		"stopSequences", "metadata", "tools", "toolChoice", // sampling/createMessage
	)
)

func byFold(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, name := range names {
		m[string(AppendFolded(nil, []byte(name)))] = name
	}
	return m
}
