package gate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate"
)

// TestTroubleshootingPage: docs/troubleshooting.md has every message that a
// refusal can have, every reason and every code. The messages are read from the
// source, so that a new one is missed here.
func TestTroubleshootingPage(t *testing.T) {
	text, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	messages := append(messagesIn(t, "."), messagesIn(t, "../mcp")...)
	if len(messages) < 50 {
		t.Fatalf("the source has %d messages only: %q", len(messages), messages)
	}
	verb := regexp.MustCompile(`%[dqsv]`)
	for _, message := range messages {
		for _, part := range verb.Split(message, -1) {
			if part = strings.Trim(part, " ;:,(-"); strings.Contains(part, " ") && !strings.Contains(page, part) {
				t.Errorf("docs/troubleshooting.md lacks %q of the message %q", part, message)
			}
		}
	}
	for _, reason := range gate.Reasons {
		if !strings.Contains(page, "`"+reason+"`") {
			t.Errorf("docs/troubleshooting.md lacks the reason %s", reason)
		}
	}
	for _, code := range codes(t) {
		if !strings.Contains(page, "| "+code+" |") {
			t.Errorf("docs/troubleshooting.md lacks the code %s", code)
		}
	}
}

// messagesIn returns the texts that the package in a folder can tell a client: in
// functions that make a refusal, or a reason for one, every string that is more
// than a word, but for those that go to a log.
func messagesIn(t *testing.T, folder string) (messages []string) {
	t.Helper()
	for _, file := range parse(t, folder) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if _, value := d.(*ast.GenDecl); !value && (!ok || !refuses(f)) {
				continue
			}
			if !ok && folder == "." {
				continue // mcp has a message in a constant
			}
			ast.Inspect(d, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Error", "Warn", "Info", "Debug", "LogAttrs", "MustCompile"}, s.Sel.Name) {
						return false
					}
				case *ast.KeyValueExpr:
					if k, ok := n.Key.(*ast.Ident); ok && k.Name == "cause" {
						return false
					}
				case *ast.BasicLit:
					if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && strings.Count(s, " ") > 1 {
						messages = append(messages, s)
					}
				}
				return true
			})
		}
	}
	return messages
}

// refuses reports whether a function makes a refusal, or a message or reason for
// one.
func refuses(f *ast.FuncDecl) bool {
	makes := func(name string) bool {
		return slices.Contains([]string{"refusal", "badRequest", "unavailable", "fail", "ContentError"}, name)
	}
	if results := f.Type.Results; results != nil {
		for _, r := range results.List {
			for _, name := range r.Names {
				if name.Name == "reason" {
					return true
				}
			}
		}
	}
	found := strings.HasSuffix(f.Name.Name, "Message") || f.Name.Name == "outsideScope"
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			id, ok := n.Type.(*ast.Ident)
			found = found || ok && makes(id.Name)
		case *ast.CallExpr:
			switch fun := n.Fun.(type) {
			case *ast.Ident:
				found = found || makes(fun.Name)
			case *ast.SelectorExpr:
				found = found || makes(fun.Sel.Name)
			}
		}
		return true
	})
	return found
}

// codes returns the gate's own codes.
func codes(t *testing.T) (all []string) {
	t.Helper()
	for _, file := range parse(t, ".") {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "code") && len(spec.Values) == 1 {
				if value, ok := spec.Values[0].(*ast.BasicLit); ok {
					all = append(all, value.Value)
				}
			}
			return true
		})
	}
	if len(all) < 10 {
		t.Fatalf("the source has the codes %q only", all)
	}
	return all
}

// parse returns the files of the package in a folder, without tests.
func parse(t *testing.T, folder string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
