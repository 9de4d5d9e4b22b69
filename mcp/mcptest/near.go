package mcptest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// This file generates messages whose names and values are misspelled, repeated,
// misplaced and escaped.

func pick(of ...string) string { return of[rand.IntN(len(of))] }

// oneIn reports true once in n times.
func oneIn(n int) bool { return rand.IntN(n) == 0 }

// spell returns a name as a JSON string, sometimes misspelled or escaped.
func spell(name string) string {
	if oneIn(40) {
		name = pick(strings.ToUpper(name), strings.ToUpper(name[:1])+name[1:], name+"\x00", "\x00"+name, "_"+name, name+"-", name+" ",
			strings.ReplaceAll(name, "s", "ſ"), strings.ReplaceAll(name, "k", "K"), strings.ReplaceAll(name, "i", "ı"),
			strings.ReplaceAll(name, "ss", "ß"), strings.ReplaceAll(name, "o", "ο"), strings.Trim(name, "_"), name+"\u0307")
	}
	var s strings.Builder
	s.WriteByte('"')
	for _, c := range name {
		if c < ' ' || oneIn(30) {
			fmt.Fprintf(&s, `\u%04x`, c)
		} else {
			s.WriteRune(c)
		}
	}
	if oneIn(150) {
		s.WriteString(pick(`\ud800`, `\udc00`, `\ud800\ud800`, `\ud83d\ude00`))
	}
	s.WriteByte('"')
	return s.String()
}

func space() string {
	if oneIn(500) {
		return "\v"
	}
	return pick("", "", "", "", " ", "\n", "\t\r")
}

func object(members []string) string {
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + space() + strings.Join(members, space()+","+space()) + space() + "}"
}

func anyValue() string {
	return pick(`1`, `1.0`, `-0`, `"1"`, `"ping"`, `"tools/call"`, `"2.0"`, `null`, `true`, `{}`, `[]`, `[{}]`, `{"name":"t"}`,
		`{"name":"t","name":"u"}`, `{"a":1,"A":2}`, `1e999`, `01`, `"\ud800"`, `{"method":"tools/call"}`)
}

func nameAnd(name string, values ...string) string {
	value := pick(values...)
	if oneIn(40) {
		value = anyValue()
	}
	return spell(name) + space() + ":" + space() + value
}

// NearMessage returns a random body that is almost a message, or almost a batch
// of messages. About half of them are valid.
func NearMessage() string {
	newMessage := func() string {
		var params []string
		for _, name := range []string{"arguments", "_meta", "cursor", "clientInfo", "taskId", "notifications", "message", "x"} {
			if oneIn(4) {
				params = append(params, nameAnd(name, `{}`, `"a"`, spell("x")))
			}
		}
		if !oneIn(5) {
			params = append(params, nameAnd("name", spell("t"), spell("u")))
		}
		members := []string{nameAnd("jsonrpc", `"2.0"`), nameAnd("params", object(params))}
		if !oneIn(5) {
			members = append(members, nameAnd("id", `1`, `2`, `"1"`, `1.0`))
		}
		if !oneIn(4) {
			members = append(members, nameAnd("method", spell("ping"), spell("tools/call"), spell("initialize"), spell("x")))
		} else {
			members = append(members, nameAnd("result", `{}`, `null`))
		}
		for _, name := range []string{"method", "id", "params", "result", "error", "x", "Name", "é"} {
			if oneIn(40) {
				members = append(members, nameAnd(name, anyValue()))
			}
		}
		return object(members)
	}
	body := newMessage()
	if oneIn(4) {
		body = "[" + strings.Join([]string{body, newMessage(), pick(newMessage(), newMessage(), anyValue())}, ",") + "]"
	}
	if oneIn(40) {
		body += pick("{}", "\x00", ",", "]", "1")
	}
	return space() + body + space()
}
