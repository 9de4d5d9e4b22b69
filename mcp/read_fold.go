package mcp

import "unicode/utf8"

// misspells returns the protocol's name that some decoder takes name for,
// though it is spelt differently; "" if there is none. Taken for each other
// are names
//   - in different letter case, as in encoding/json or Jackson when told so.
//     That covers Unicode's foldings into ASCII, simple (ſ, K), full (ß, ﬁ)
//     and Turkic (İ, ı), since runtimes do not agree on which of them count;
//   - with and without underscores and dashes, as in encoding/json/v2;
//   - that are equal up to a NUL, where C's strings or a decoder's padding end.
func (r *reader) misspells(name []byte, of owner) (known string) {
	r.foldBuf = AppendFolded(r.foldBuf[:0], name)
	if of == ofMessage {
		known = messageNames[string(r.foldBuf)]
	} else {
		known = paramNames[string(r.foldBuf)]
		if known == "_meta" && string(name) == "meta" {
			return "" // the Python SDK's own name for it, which a client may let slip
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

// foldedToASCII is every character beyond ASCII that Unicode's CaseFolding.txt
// (C, F and T) folds into ASCII letters, and the dotless i, whose upper case is
// one.
var foldedToASCII = map[rune]string{
	'ſ': "s", 'K': "k", 'ı': "i", 'İ': "i",
	'ß': "ss", 'ẞ': "ss",
	'ﬀ': "ff", 'ﬁ': "fi", 'ﬂ': "fl", 'ﬃ': "ffi", 'ﬄ': "ffl", 'ﬅ': "st", 'ﬆ': "st",
}

// The protocol's names, by what they fold to.
var (
	messageNames = byFold("jsonrpc", "id", "method", "params", "result", "error")

	// What params have in some revision, of requests, notifications and the
	// tasks extension, in either direction: SDKs share the types.
	paramNames = byFold(
		"_meta", "task",
		"protocolVersion", "capabilities", "clientInfo", // initialize
		"name", "arguments", // tools/call, prompts/get
		"inputResponses", "requestState", // requests that are tried again with input
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
		"stopSequences", "metadata", "tools", "toolChoice", // likewise
	)
)

func byFold(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, name := range names {
		m[string(AppendFolded(nil, []byte(name)))] = name
	}
	return m
}
