package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/mcp/scan"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "extract",
		Usage: "[--config <file>] [--adapter <name>] [--gate <number>] [--tool <name>] [--json] < exchange.json",
		Short: "Shows which tables and records a config's rules find in a recorded call",
		Long: `
Reads a recorded call from standard input and shows which rule is for its tool,
which tables and how many records it finds, and what each of its paths finds. It
opens nothing and sends nothing.

The input is {"request": ..., "response": ...}, or JSON-RPC messages one after
another, in an array, or as the events of an event stream. Of several messages,
those belong together that have the same id. A response without its request
needs --tool.`,
		CobraFunc: func(cmd *cobra.Command) {
			number := cmd.Flags().Int("gate", 0, "Which of the config's gates, counted from 1 (default: the only one that has rules)")
			tool := cmd.Flags().String("tool", "", "Name of the tool (default: the request's)")
			asJSON := cmd.Flags().Bool("json", false, "Print a JSON object for each call")
			configCommand(cmd, cobra.NoArgs, func(config []byte) (int, error) {
				if err := extract(cmd.OutOrStdout(), cmd.InOrStdin(), config, *number, *tool, *asJSON); err != nil {
					return caddy.ExitCodeFailedStartup, err
				}
				return caddy.ExitCodeSuccess, nil
			})
		},
	})
}

// extract reads recorded calls and writes what the rules of a config find in them.
func extract(out io.Writer, in io.Reader, config []byte, number int, tool string, asJSON bool) error {
	rules, number, err := gateRules(config, number)
	if err != nil {
		return err
	}
	extractors, err := scan.NewExtractors(rules)
	if err != nil {
		return err
	}
	calls, err := readRecording(in, tool)
	if err != nil {
		return err
	}
	for i := range calls {
		f, err := find(extractors, rules, &calls[i])
		if err != nil {
			return err
		}
		f.Gate = number
		if asJSON {
			err = json.NewEncoder(out).Encode(f)
		} else {
			if i > 0 {
				fmt.Fprintln(out)
			}
			err = f.print(out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gateRules returns the rules of one of a config's gates, and which it is. A
// config with none has one gate without rules.
func gateRules(config []byte, number int) ([]scan.Rule, int, error) {
	gates, err := rulesOfGates(config)
	if err != nil {
		return nil, 0, err
	}
	if len(gates) == 0 {
		if config != nil {
			return nil, 0, errors.New("the config has no tallygate handler")
		}
		return nil, 0, nil
	}
	if number == 0 {
		var withRules []int
		for i, rules := range gates {
			if len(rules) > 0 {
				withRules = append(withRules, i+1)
			}
		}
		if len(withRules) > 1 {
			return nil, 0, fmt.Errorf("the config has %d gates with rules; pick one by --gate, which counts from 1 in the order of the adapted config: %s",
				len(withRules), strings.Trim(fmt.Sprint(withRules), "[]"))
		}
		number = 1
		if len(withRules) == 1 {
			number = withRules[0]
		}
	}
	if number < 1 || number > len(gates) {
		return nil, 0, fmt.Errorf("there is no gate %d; the config has %d", number, len(gates))
	}
	return gates[number-1], number, nil
}

// findings is the output for one call.
type findings struct {
	Tool    string    `json:"tool"`
	Gate    int       `json:"gate"` // 0: there is no config
	Rule    shownRule `json:"rule"`
	Number  int       `json:"rule_number"` // 0: the default rule
	Outcome string    `json:"outcome"`
	Line    string    `json:"line,omitempty"` // the line of the default rule that gave the record count
	finding
	Paths []finding `json:"paths"`
}

// shownRule is a rule by the names that configs have.
type shownRule struct {
	Tool     string   `json:"tool"`
	Table    []string `json:"table,omitempty"`
	Records  []string `json:"records,omitempty"`
	Affected []string `json:"affected,omitempty"`
}

// finding is what a rule finds, or one of its paths.
type finding struct {
	Table          string   `json:"table,omitempty"` // the path, of tables, records or affected rows
	Records        string   `json:"records,omitempty"`
	Affected       string   `json:"affected,omitempty"`
	Tables         []string `json:"tables"`
	RecordCount    *int64   `json:"record_count"`
	TablesUnknown  string   `json:"tables_unknown,omitempty"`
	RecordsUnknown string   `json:"records_unknown,omitempty"`
}

// find applies the rule for a call's tool, and each path of the rule alone.
func find(x *scan.Extractors, rules []scan.Rule, e *recordedCall) (*findings, error) {
	extractor := x.For(e.tool)
	rule := extractor.Rule()
	f := &findings{Tool: e.tool, Rule: shownRule{Tool: rule.Tool, Table: rule.Tables, Records: rule.Records, Affected: rule.Affected}}
	f.Number = 1 + slices.IndexFunc(rules, func(r scan.Rule) bool {
		return r.Tool == rule.Tool && slices.Equal(r.Tables, rule.Tables) && slices.Equal(r.Records, rule.Records) && slices.Equal(r.Affected, rule.Affected)
	})
	facts, outcome := e.facts(extractor)
	f.Outcome, f.finding = outcome, findingOf(facts)
	if f.Number == 0 {
		f.Line = facts.Line()
	}
	parts, err := rule.Split()
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		x, err := scan.NewExtractors([]scan.Rule{{Tool: "*", Tables: part.Tables, Records: part.Records, Affected: part.Affected}})
		if err != nil {
			return nil, err
		}
		facts, _ := e.facts(x.For(e.tool))
		one := findingOf(facts)
		switch {
		case len(part.Tables) > 0:
			one.Table, one.RecordsUnknown = part.Tables[0], ""
		case len(part.Affected) > 0:
			one.Affected, one.TablesUnknown = part.Affected[0], ""
		default:
			one.Records, one.TablesUnknown = part.Records[0], ""
		}
		f.Paths = append(f.Paths, one)
	}
	return f, nil
}

func findingOf(facts scan.Facts) finding {
	f := finding{Tables: facts.Tables, TablesUnknown: facts.TablesUnknown.String(), RecordsUnknown: facts.RecordsUnknown.String()}
	if f.Tables == nil && facts.TablesUnknown == scan.Known {
		f.Tables = []string{}
	}
	if facts.RecordsKnown {
		f.RecordCount = &facts.Records
	}
	return f
}

// noResult is the outcome of a call without a final result.
const noResult = "no_result"

// facts returns what an extractor finds in a call, and how the call ended.
func (e *recordedCall) facts(x *scan.Extractor) (facts scan.Facts, outcome string) {
	outcome = noResult
	if e.request != nil {
		facts = x.FromParams(e.request.Params)
	} else {
		facts = x.FromParams([]byte(`{}`))
	}
	var s scan.Scanner
	s.Reset(scan.JSON, scan.Calls, x)
	s.Scan(e.response, func(r *scan.Reply) {
		switch {
		case r.RPCError:
			outcome = "rpc_error"
		case r.ToolError:
			outcome = "tool_error"
		case r.ResultType == "input_required" || r.TaskID != nil:
			outcome = noResult
		default:
			outcome = "ok"
		}
		facts = facts.Merge(r.Facts(x))
	})
	return facts, outcome
}

// why explains the reasons for people.
var why = map[string]string{
	"no_rule":       "the rule does not say where to look",
	"not_found":     "there is nothing",
	"not_counted":   "the statement has no rows to count",
	"wrong_type":    "what is there is no name, number or array of rows",
	"wrong_format":  "the text is not of that format",
	"sql_unread":    "the query cannot be read",
	"unchecked":     "the JSON in the text was not read, as structured content was expected",
	"over_cap":      "there is more than is kept",
	"contradiction": "two places say different numbers",
}

func (f *findings) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "tool\t%s\n", f.Tool)
	switch {
	case f.Number > 0:
		fmt.Fprintf(w, "rule\ttool %s, number %d of gate %d\n", f.Rule.Tool, f.Number, f.Gate)
	default:
		fmt.Fprintf(w, "rule\tthe default, since no rule is for this tool\n")
	}
	fmt.Fprintf(w, "outcome\t%s\n", f.Outcome)
	fmt.Fprintf(w, "tables\t%s\n", f.tables())
	fmt.Fprintf(w, "records\t%s\n", f.records())
	if f.Line != "" {
		fmt.Fprintf(w, "\tby the default rule's line %s\n", f.Line)
	}
	if f.Outcome != "ok" && f.RecordCount != nil {
		fmt.Fprintf(w, "\tthe event has no record count, since the call did not end well\n")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	nothing := 0
	for _, p := range f.Paths {
		if f.Number == 0 && (p.TablesUnknown == scan.NotFound.String() || p.RecordsUnknown == scan.NotFound.String()) {
			nothing++
			continue
		}
		switch {
		case p.Table != "":
			fmt.Fprintf(w, "  table %s\t%s\n", p.Table, p.tables())
		case p.Affected != "":
			fmt.Fprintf(w, "  affected %s\t%s\n", p.Affected, p.records())
		default:
			fmt.Fprintf(w, "  records %s\t%s\n", p.Records, p.records())
		}
	}
	if nothing > 0 {
		fmt.Fprintf(w, "  %d other paths\t%s\n", nothing, why["not_found"])
	}
	return w.Flush()
}

func (f *finding) tables() string {
	switch {
	case f.TablesUnknown != "":
		return fmt.Sprintf("unknown: %s (%s)", why[f.TablesUnknown], f.TablesUnknown)
	case len(f.Tables) == 0:
		return "none"
	}
	return strings.Join(f.Tables, ", ")
}

func (f *finding) records() string {
	if f.RecordCount == nil {
		return fmt.Sprintf("unknown: %s (%s)", why[f.RecordsUnknown], f.RecordsUnknown)
	}
	return fmt.Sprint(*f.RecordCount)
}
