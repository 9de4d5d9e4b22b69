package stockmcp

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Arguments that several tools share. mcp-go validates every call against its
// tool's input schema, so handlers check only what a schema cannot express.
var (
	tableArgument = mcp.WithString("table", mcp.Required(), mcp.Enum(tableNames()...),
		mcp.Description("Name of the table"))
	codeArgument = mcp.WithString("ts_code", mcp.Required(), mcp.Pattern(`^[0-9]{6}\.(NX|SX)$`),
		mcp.Description("Ticker of an index member, such as 600001.NX"))
	limitArgument = mcp.WithInteger("limit", mcp.Min(1), mcp.Max(maxRows), mcp.DefaultNumber(defaultLimit),
		mcp.Description("How many rows to return at most"))
)

const defaultLimit = 100

func addTools(m *server.MCPServer, d *database) {
	add(m, "list_tables", "List the tables, with what they hold and how many rows.",
		d.listTables)
	add(m, "describe_table", "Describe the columns of a table.",
		d.describeTable, tableArgument)
	add(m, "query_table", "Read rows of one table: filter, sort and page. Rows come in the order of the primary key unless order_by says otherwise.",
		d.queryTable, tableArgument,
		mcp.WithArray("columns", mcp.WithStringItems(), mcp.MinItems(1), mcp.UniqueItems(true),
			mcp.Description("Columns to return; all of them by default")),
		mcp.WithArray("filters", mcp.Items(filterSchema), mcp.MaxItems(20),
			mcp.Description("Conditions that a row has to meet, all of them")),
		mcp.WithString("order_by", mcp.Description("Column to sort by")),
		mcp.WithBoolean("descending", mcp.DefaultBool(false), mcp.Description("Sort from high to low")),
		limitArgument,
		mcp.WithInteger("offset", mcp.Min(0), mcp.Max(1_000_000), mcp.DefaultNumber(0),
			mcp.Description("How many rows to pass over first")),
	)
	add(m, "get_daily", "Daily prices of one company, oldest first.",
		d.getDaily, codeArgument,
		mcp.WithString("from", mcp.Description("First day, YYYY-MM-DD")),
		mcp.WithString("to", mcp.Description("Last day, YYYY-MM-DD")),
		limitArgument,
	)
	add(m, "run_sql", "Run one read-only SQL statement (SQLite: SELECT, WITH or VALUES) over all tables.",
		d.runSQL,
		mcp.WithString("sql", mcp.Required(), mcp.MinLength(1), mcp.MaxLength(maxSQL),
			mcp.Description("The statement, such as SELECT industry, count(*) AS companies FROM stock_basic GROUP BY industry")),
		limitArgument,
	)
	add(m, "backtest", "Try moving-average crossovers of different lengths on a company's daily prices. Takes about 1.5 s by default and reports its progress.",
		d.backtest, codeArgument,
		mcp.WithInteger("steps", mcp.Min(1), mcp.Max(maxSteps), mcp.DefaultNumber(defaultSteps),
			mcp.Description("How many crossovers to try")),
		mcp.WithInteger("step_ms", mcp.Min(1), mcp.Max(maxStepMS), mcp.DefaultNumber(defaultStepMS),
			mcp.Description("How long to take over each, in milliseconds: the work is slowed down so that its progress can be watched")),
	)
}

// add adds a read-only tool to the server. The handler's result is sent as
// structured content and, as the same JSON, in a text; its error is sent as a tool
// error.
func add[A, R any](m *server.MCPServer, name, description string,
	handle func(context.Context, mcp.CallToolRequest, A) (*R, error), arguments ...mcp.ToolOption) {
	options := append([]mcp.ToolOption{
		mcp.WithDescription(description),
		mcp.WithReadOnlyHintAnnotation(true),
		mcp.WithDestructiveHintAnnotation(false),
		mcp.WithIdempotentHintAnnotation(true),
		mcp.WithOpenWorldHintAnnotation(false),
		mcp.WithOutputSchema[R](),
	}, arguments...)
	m.AddTool(mcp.NewTool(name, options...), func(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		args, err := bind[A](request)
		if err != nil {
			return nil, err
		}
		result, err := handle(ctx, request, args)
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		text, err := json.Marshal(result)
		if err != nil {
			return nil, err
		}
		return mcp.NewToolResultStructured(json.RawMessage(text), string(text)), nil
	})
}

// bind decodes arguments that have passed the schema. It takes them as mcp-go has
// decoded them, because there 10.0 has become an integer.
func bind[A any](request mcp.CallToolRequest) (args A, err error) {
	decoded, err := json.Marshal(request.Params.Arguments)
	if err != nil {
		return args, err
	}
	return args, json.Unmarshal(decoded, &args)
}
