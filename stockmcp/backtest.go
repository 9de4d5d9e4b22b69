package stockmcp

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// How many crossovers a backtest tries, and how long each of them takes.
const (
	defaultSteps  = 10
	maxSteps      = 50
	defaultStepMS = 150
	maxStepMS     = 200
)

type backtestArgs struct {
	Code   string `json:"ts_code"`
	Steps  int    `json:"steps"`
	StepMS int    `json:"step_ms"`
}

type backtestResult struct {
	Table string      `json:"table"`
	Code  string      `json:"ts_code"`
	Days  int         `json:"days" jsonschema:"how many daily prices were read"`
	Rows  []crossover `json:"rows" jsonschema:"what came of each crossover"`
	Best  crossover   `json:"best" jsonschema:"the one with the highest return"`
}

// crossover is a trading rule and its outcome: hold a share while the mean close
// of the last Short days is above that of the last Long days.
type crossover struct {
	Short     int     `json:"short"`
	Long      int     `json:"long"`
	Trades    int     `json:"trades" jsonschema:"how often it bought"`
	ReturnPct float64 `json:"return_pct"`
}

func (d *database) backtest(ctx context.Context, request mcp.CallToolRequest, args backtestArgs) (*backtestResult, error) {
	if err := d.covers(ctx, args.Code); err != nil {
		return nil, err
	}
	prices, err := read[struct{ Close float64 }](ctx, d,
		"SELECT close FROM stock_daily WHERE ts_code = ? ORDER BY trade_date", args.Code)
	if err != nil {
		return nil, err
	}
	closes := make([]float64, len(prices))
	for i, p := range prices {
		closes[i] = p.Close
	}
	steps := cmp.Or(args.Steps, defaultSteps)
	pace := time.Duration(cmp.Or(args.StepMS, defaultStepMS)) * time.Millisecond
	result := &backtestResult{Table: "stock_daily", Code: args.Code, Days: len(closes)}
	for i := range steps {
		c := crossover{Short: 3 + i%10, Long: 20 + i/10*5}
		c.try(closes)
		if i == 0 || c.ReturnPct > result.Best.ReturnPct {
			result.Best = c
		}
		result.Rows = append(result.Rows, c)
		reportProgress(ctx, request, i+1, steps, fmt.Sprintf("means over %d and %d days: %.2f %%", c.Short, c.Long, c.ReturnPct))
		// Wait after the progress, even if this step is late: mcp-go may lose a
		// notification that is followed by the answer at once.
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return nil, fmt.Errorf("cancelled after %d of %d steps", i+1, steps)
		}
	}
	return result, nil
}

// reportProgress sends the call's progress if the caller asked for it. mcp-go then
// replies with an event stream.
func reportProgress(ctx context.Context, request mcp.CallToolRequest, progress, total int, message string) {
	if request.Params.Meta == nil || request.Params.Meta.ProgressToken == nil {
		return
	}
	// The call goes on if a notification cannot be delivered.
	_ = server.ServerFromContext(ctx).SendNotificationToClient(ctx, string(mcp.MethodNotificationProgress), map[string]any{
		"progressToken": request.Params.Meta.ProgressToken,
		"progress":      progress,
		"total":         total,
		"message":       message,
	})
}

// try applies the rule to closing prices, without costs. Each day's decision takes
// effect on the next day.
func (c *crossover) try(closes []float64) {
	value, holding := 1.0, false
	for day := c.Long; day < len(closes); day++ {
		hold := mean(closes[day-c.Short:day]) > mean(closes[day-c.Long:day])
		if hold {
			value *= closes[day] / closes[day-1]
		}
		if hold && !holding {
			c.Trades++
		}
		holding = hold
	}
	c.ReturnPct = math.Round((value-1)*10_000) / 100
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
