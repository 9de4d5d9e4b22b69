package stockmcp

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

type sqlArgs struct {
	SQL   string `json:"sql"`
	Limit int    `json:"limit"`
}

// sqlPage is a page of a query on any tables.
type sqlPage struct {
	Tables []string `json:"tables" jsonschema:"the tables that were read"`
	page
}

func (d *database) runSQL(ctx context.Context, _ mcp.CallToolRequest, args sqlArgs) (*sqlPage, error) {
	statement, err := bare(args.SQL)
	if err != nil {
		return nil, err
	}
	p, err := d.query(ctx, cmp.Or(args.Limit, defaultLimit), statement)
	if err != nil {
		return nil, err
	}
	return &sqlPage{p.tables, *p}, nil
}

// bare returns the single statement in sql, without a trailing semicolon. It
// rejects what could escape the parentheses that query puts around it: a second
// statement, or an unbalanced parenthesis. It recognizes texts, quoted names and
// comments as SQLite's tokenizer does.
func bare(sql string) (string, error) {
	if strings.ContainsRune(sql, 0) {
		return "", errors.New("sql: contains a NUL character")
	}
	begin, end, depth := -1, len(sql), 0
	for at := 0; at < len(sql); {
		rest := sql[at:]
		token, length := rest[0], 1
		switch {
		case strings.HasPrefix(rest, "--"):
			token, length = ' ', until(rest, 2, "\n")
		case strings.HasPrefix(rest, "/*"):
			token, length = ' ', until(rest, 2, "*/")
		case token == '[':
			length = until(rest, 1, "]")
		case token == '\'', token == '"', token == '`':
			length = until(rest, 1, string(token))
		}
		switch {
		case strings.IndexByte(" \t\n\f\r", token) >= 0:
		case token == ';':
			end = min(end, at)
		case end < at:
			return "", errors.New("sql: more than one statement; send one at a time")
		case begin < 0:
			begin = at
		}
		switch token {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth < 0 {
			return "", errors.New("sql: a closing parenthesis that nothing opened")
		}
		at += length
	}
	if begin < 0 || !reading.MatchString(sql[begin:]) {
		return "", errors.New("sql: only statements that begin with SELECT, WITH or VALUES are allowed")
	}
	if depth > 0 {
		return "", errors.New("sql: an opening parenthesis that nothing closes")
	}
	return sql[begin:end], nil
}

// reading matches the beginning of a statement that only reads.
var reading = regexp.MustCompile(`^(?i:select|with|values)\b`)

// until returns the length of the token at the start of s. It ends with the first
// end at or after the offset, or with s.
func until(s string, offset int, end string) int {
	i := strings.Index(s[offset:], end)
	if i < 0 {
		return len(s)
	}
	return offset + i + len(end)
}
