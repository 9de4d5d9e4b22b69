package mcptest

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	endian "encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// text is bodies that are not all valid UTF-8, or begin with a mark.
func (c *Corpus) text() {
	c.begin("invalid text", "what is not UTF-8 is replaced, dropped or misread, and then is another name or method")
	for _, method := range []string{
		"tools/call\xff", "\xfftools/call", "tools\xc0\xafcall", "tools\xe0\x80\xafcall", "tools\xf0\x80\x80\xafcall", "tools/call\xc3", "tools/call\xe2\x82",
		"tools/call\xed\xa0\x80", "tools/call\xed\xa0\xbd\xed\xb8\x80", "tools/call\xf4\x90\x80\x80", "tools/call\xf8\x88\x80\x80\x80", "tools/call\x80", "\xf4ools/call",
		"tools/call\xc0\x80", "tools/call\xef\xbf\xbe", "tools/call\xef\xbf\xbd",
	} {
		c.add(fmt.Sprintf("method %q", method), message(`"method":"`+method+`"`, callParams))
	}
	for _, junk := range []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "\xc3", "\xe2\x80"} {
		c.add(fmt.Sprintf("%q in a value, then a second method", junk), message(`"method":"ping"`, `"x":"`+junk+`"`, `"method":"tools/call"`, callParams))
		c.add(fmt.Sprintf("%q in a call's arguments", junk), message(`"method":"tools/call"`, `"params":{"name":"count","arguments":{"x":"`+junk+`"}}`))
		c.add(fmt.Sprintf("%q swallows a quote", junk), message(`"method":"ping`+junk+`","method":"tools/call"`, callParams))
		c.add(fmt.Sprintf("%q outside of strings", junk), junk+Call)
	}
	for _, mark := range []string{"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe", "\xff\xfe\x00\x00", "\x00\x00\xfe\xff", "\x2b\x2f\x76\x38", "\xef\xbb", "\xef\xbb\xbf\xef\xbb\xbf"} {
		c.add(fmt.Sprintf("mark %q, call", mark), mark+Call)
		c.add(fmt.Sprintf("mark %q, ping", mark), mark+Ping)
		c.add(fmt.Sprintf("call, mark %q", mark), Call+mark)
		c.add(fmt.Sprintf("space, mark %q, call", mark), " "+mark+Call)
	}
	c.add("unpaired surrogate in arguments", message(`"method":"tools/call"`, `"params":{"name":"count","arguments":{"x":"\ud800"}}`))
	c.add("unpaired surrogate in an argument's name", message(`"method":"tools/call"`, `"params":{"name":"count","arguments":{"\ud800":1}}`))
	c.add("two unpaired surrogates as names", message(`"method":"tools/call"`, `"params":{"name":"count","arguments":{"\ud800":1,"\udfff":1}}`))
}

// callIn is the call in a charset.
func callIn(charset string) string {
	var b bytes.Buffer
	wide := func(order endian.ByteOrder) {
		for _, unit := range utf16.Encode([]rune(Call)) {
			_ = endian.Write(&b, order, unit) // a Buffer does not fail
		}
	}
	switch charset {
	case "utf-16le":
		wide(endian.LittleEndian)
	case "utf-16be":
		wide(endian.BigEndian)
	case "utf-16":
		b.WriteString("\xff\xfe")
		wide(endian.LittleEndian)
	case "utf-16 big":
		b.WriteString("\xfe\xff")
		wide(endian.BigEndian)
	case "utf-32le":
		_ = endian.Write(&b, endian.LittleEndian, []rune(Call))
	case "utf-32be":
		_ = endian.Write(&b, endian.BigEndian, []rune(Call))
	case "utf-7": // RFC 2152: any character may stand between + and - in base 64
		b.WriteString(strings.NewReplacer(`"method"`, `"+AG0-ethod"`, "tools", "+AHQ-ools").Replace(Call))
	}
	return b.String()
}

// compressed is text in a content coding.
func compressed(coding, text string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw deflate":
		w, _ = flate.NewWriter(&b, flate.BestSpeed) // the level is valid
	case "br": // RFC 7932: one metablock without compression, and an empty last one
		header := uint32(len(text)-1)<<4 | 1<<20
		return string([]byte{byte(header), byte(header >> 8), byte(header >> 16)}) + text + "\x03"
	case "zstd": // RFC 8878: one block without compression
		header := uint32(len(text))<<3 | 1
		size := endian.LittleEndian.AppendUint32(nil, uint32(len(text)))
		return "\x28\xb5\x2f\xfd\xa0" + string(size) + string([]byte{byte(header), byte(header >> 8), byte(header >> 16)}) + text
	}
	_, _ = io.WriteString(w, text) // a Buffer does not fail
	_ = w.Close()
	return b.String()
}

func (c *Corpus) encodings() {
	c.begin("content codings", "a server that decodes runs what is within, one that does not runs what is around")
	for _, coding := range []string{"gzip", "deflate", "raw deflate", "br", "zstd"} {
		name := strings.TrimPrefix(coding, "raw ")
		c.and(coding+", told", compressed(coding, Call), "Content-Encoding: "+name)
		c.add(coding+", not told", compressed(coding, Call))
		c.and(coding+", told as a transfer coding in TE", compressed(coding, Call), "TE: "+name)
		if coding == name {
			c.and(coding+", told, plain body", Call, "Content-Encoding: "+name)
		}
	}
	zipped := compressed("gzip", Call)
	for _, value := range []string{
		"GZIP", "x-gzip", " gzip", "gzip ", "gzip,identity", "identity, gzip", "gzip, gzip", "gzip;q=1", `"gzip"`, "none", "utf-8", "aws-chunked", "compress", "*", ",gzip",
	} {
		c.and(fmt.Sprintf("gzip as %q", value), zipped, "Content-Encoding: "+value)
		c.and(fmt.Sprintf("plain body as %q", value), Call, "Content-Encoding: "+value)
	}
	for _, value := range []string{"", "identity", "Identity", "identity, identity"} {
		c.and(fmt.Sprintf("ping as %q", value), Ping, "Content-Encoding: "+value)
		c.and(fmt.Sprintf("gzip as %q", value), zipped, "Content-Encoding: "+value)
	}
	c.and("two headers, identity first", zipped, "Content-Encoding: identity", "Content-Encoding: gzip")
	c.and("two headers, identity last", zipped, "Content-Encoding: gzip", "Content-Encoding: identity")
	c.and("gzip of gzip", compressed("gzip", zipped), "Content-Encoding: gzip, gzip")
	c.and("gzip of ping, then of call", compressed("gzip", Ping)+zipped, "Content-Encoding: gzip")
	c.and("underscore in the name", zipped, "Content_Encoding: gzip")
	c.and("transfer-encoding in another header", zipped, "Content-Transfer-Encoding: gzip")
	c.and("base 64", "eyJqc29ucnBjIjoiMi4wIn0=", "Content-Transfer-Encoding: base64")

	c.begin("charsets", "a server that believes the charset reads other names in the same bytes")
	for _, charset := range []string{"utf-16le", "utf-16be", "utf-16", "utf-16 big", "utf-32le", "utf-32be", "utf-7"} {
		name := strings.TrimSuffix(charset, " big")
		c.with(charset+", told", callIn(charset), "Content-Type: application/json; charset="+name, Accepts)
		c.add(charset+", not told", callIn(charset))
		c.with(charset+", told as utf-8", callIn(charset), "Content-Type: application/json; charset=utf-8", Accepts)
	}
	hidden := message(`"method":"ping"`, `"+AG0-ethod":"tools/call"`, bothParams)
	for _, parameter := range []string{
		"charset=utf-7", "charset=UTF-7", `charset="utf-7"`, "charset='utf-7'", "charset = utf-7", "charset=utf-7;", "charset=utf-8; charset=utf-7", "charset=utf-7; charset=utf-8",
		"Charset=utf-7", "CHARSET=utf-7", "charset*=utf-8''utf-7", "charset*0=utf-; charset*1=7", `x="; charset=utf-7"`, `x=" charset=utf-8"; charset=utf-7`, `charset="utf-8"; charset=utf-7`,
		"charset=unicode-1-1-utf-7", "charset=utf7", "charset=utf-7-imap", "; charset=utf-7", "charset=utf-8, application/json; charset=utf-7", "charset=utf-8 charset=utf-7",
		`charset="utf-8\"; charset=utf-7"`, "charset=utf-8\t; charset=utf-7", "xcharset=utf-7", "boundary=x; charset=utf-7", "charset=utf-8;charset=\"utf-7\"",
	} {
		c.with("hidden method, "+parameter, hidden, "Content-Type: application/json; "+parameter, Accepts)
	}
	for _, charset := range []string{
		"utf8", "UTF-8", `"utf-8"`, "us-ascii", "iso-8859-1", "latin1", "windows-1252", "ebcdic-cp-us", "ibm037", "shift_jis", "gb18030", "utf-16", "utf-32", "x-user-defined", "", "nonsense", "utf-8-sig", "cesu-8",
	} {
		c.with("call, charset "+charset, Call, "Content-Type: application/json; charset="+charset, Accepts)
		c.with("ping, charset "+charset, Ping, "Content-Type: application/json; charset="+charset, Accepts)
	}
	c.with("no colon in EBCDIC", "\xc0\x7f\x94\x7f", "Content-Type: application/json; charset=ibm037", Accepts)
	c.with("quote swallowed in Shift JIS", message("\"method\":\"ping\x81\",\"method\":\"tools/call\"", bothParams), "Content-Type: application/json; charset=shift_jis", Accepts)
	c.with("hidden in latin1", message("\"method\":\"ping\"", "\"m\xe9thod\":\"tools/call\"", bothParams), "Content-Type: application/json; charset=iso-8859-1", Accepts)
}

func (c *Corpus) contentTypes() {
	c.begin("media types", "a server that goes by the media type picks another parser for the same bytes")
	form := "jsonrpc=2.0&id=1&method=tools/call&params[name]=count"
	multipart := "--b\r\nContent-Disposition: form-data; name=\"message\"\r\nContent-Type: application/json\r\n\r\n" + Call + "\r\n--b--\r\n"
	for _, media := range []string{
		"text/plain", "text/json", "text/x-json", "application/x-json", "application/json5", "application/jsonrequest", "application/json-rpc", "application/jsonrpc", "application/vnd.x+json",
		"application/ld+json", "application/x-ndjson", "application/json-seq", "application/octet-stream", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; x=application/json",
		"multipart/form-data; boundary=b", "multipart/form-data; boundary=b; x=application/json", "multipart/mixed; boundary=b", "text/plain; application/json", "text/plain;application/json",
		"text/event-stream", "*/*", "application/*", "json", "", " ", ";", "application/json, text/plain", "text/plain, application/json", "application/json,application/json",
		"application/json/x", "application /json", "application/ json", "x-application/json", "application/jsonx", "application/json;", "application/json ;", "application/json;;", "application/json; ",
		"application/json; x", "application/json; x=y", "application/json; =y", `application/json; x="`, `"application/json"`, "APPLICATION/JSON", "Application/Json", "application/json\t", "\tapplication/json",
		"application/json; profile=\"x\"", "application/yaml", "application/cbor", "application/msgpack", "application/xml", "application/graphql", "application/json; version=1; charset=utf-8",
	} {
		c.with("call as "+fmt.Sprintf("%q", media), Call, "Content-Type: "+media, Accepts)
	}
	for _, media := range []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; x=application/json", "application/json", "text/plain; x=application/json", "application/json; application/x-www-form-urlencoded"} {
		c.with("form as "+media, form, "Content-Type: "+media, Accepts)
		c.with("form of a call as "+media, Call+"=&x=1", "Content-Type: "+media, Accepts)
	}
	for _, media := range []string{"multipart/form-data; boundary=b", "application/json; boundary=b", "application/json"} {
		c.with("multipart as "+media, multipart, "Content-Type: "+media, Accepts)
	}
	c.with("none", Call, Accepts)
	c.with("two, JSON first", Call, "Content-Type: application/json", "Content-Type: text/plain", Accepts)
	c.with("two, JSON last", Call, "Content-Type: text/plain", "Content-Type: application/json", Accepts)
	c.with("two, both JSON", Call, "Content-Type: application/json", "Content-Type: application/json", Accepts)
	c.with("two, UTF-7 last", callIn("utf-7"), "Content-Type: application/json", "Content-Type: application/json; charset=utf-7", Accepts)
	c.with("two, UTF-7 first", callIn("utf-7"), "Content-Type: application/json; charset=utf-7", "Content-Type: application/json", Accepts)
	c.with("underscore in the name", Call, "Content_Type: application/json", Accepts)
	c.with("another case of the name", Call, "CONTENT-TYPE: application/json", Accepts)
	c.with("without Accept", Call, "Content-Type: application/json")
	c.with("Accept of anything", Call, "Content-Type: application/json", "Accept: */*")
	c.with("Accept of HTML", Call, "Content-Type: application/json", "Accept: text/html")
	c.with("Accept twice", Call, "Content-Type: application/json", "Accept: application/json", "Accept: text/event-stream")
}
