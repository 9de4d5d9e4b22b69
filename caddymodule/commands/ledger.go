package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/export"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "ledger",
		Usage: "status|replay|export",
		Short: "Shows what waits for the ledger, sends rejected events again, writes events out",
		Long: `
Works on the journal and the ledger that a config names, or on the defaults
where there is no config. Each command works beside a gate that runs, and
without one.`,
		CobraFunc: func(cmd *cobra.Command) {
			group(cmd, ledgerStatus(), ledgerReplay(), ledgerExport())
		},
	})
}

func ledgerStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--json] [--check [--max-age <duration>]]",
		Short: "Shows what waits in the journal",
		Long: `
Shows the events that the ledger does not have yet, those that it rejected, and
what is damaged. Nothing is changed. With --check the exit status is 3 when
events are set aside, records are damaged, or an event waits for longer than
--max-age. It is 1 when the journal cannot be read.`,
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	check := cmd.Flags().Bool("check", false, "Exit with status 3 when something needs attention")
	maxAge := cmd.Flags().Duration("max-age", 10*time.Minute, "How long an event may wait, for --check")
	return settingsCommand(cmd, cobra.NoArgs, func(_ context.Context, settings Settings) (int, error) {
		i, err := journal.Inspect(settings.Journal)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		s := journalStatus{Inspection: i}
		if !i.OldestEvent.IsZero() {
			s.OldestAge = time.Since(i.OldestEvent).Seconds()
		}
		if err := s.print(cmd.OutOrStdout(), *asJSON); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		if *check && (i.SetAsideEvents > 0 || i.DamagedBytes > 0 || s.OldestAge > maxAge.Seconds()) {
			return exitAttention, errors.New("the journal needs attention: events are set aside or damaged, or wait too long")
		}
		return caddy.ExitCodeSuccess, nil
	})
}

// journalStatus is an inspection as the command shows it.
type journalStatus struct {
	journal.Inspection
	OldestAge float64 `json:"oldest_event_age_seconds"`
}

func (s *journalStatus) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, s)
	}
	bytes := func(n int64) string { return humanize.IBytes(uint64(n)) }
	inUse, oldest := "no", "-"
	if s.InUse {
		inUse = "yes"
	}
	if !s.OldestEvent.IsZero() {
		age := time.Duration(s.OldestAge * float64(time.Second)).Round(time.Second)
		oldest = fmt.Sprintf("%s (%s ago)", s.OldestEvent.Format(time.RFC3339), age)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"Journal", s.Dir},
		{"In use", inUse},
		{"Events waiting", fmt.Sprintf("%d (%s)", s.PendingEvents, bytes(s.PendingBytes))},
		{"Oldest event", oldest},
		{"Batches under way", fmt.Sprint(s.PendingBatches)},
		{"Segments", fmt.Sprintf("%d (%s)", s.Segments, bytes(s.Bytes))},
		{"Events set aside", fmt.Sprint(s.SetAsideEvents)},
		{"Unfinished calls", fmt.Sprint(s.PendingCalls)},
		{"Damaged", bytes(s.DamagedBytes)},
	} {
		fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
	}
	return t.Flush()
}

func ledgerReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Sends the events again that the ledger rejected",
		Long: `
Sends the events in the journal's folder rejected to the ledger again, oldest
first, and removes the file of each that the ledger has then. Whatever happens
in between, no event is stored twice; so a replay that was killed is simply
started again. The exit status is 3 when the ledger rejects an event again or a
file cannot be read; those stay. It is 1 when the ledger cannot be reached.`,
	}
	return settingsCommand(cmd, cobra.NoArgs, func(ctx context.Context, settings Settings) (status int, err error) {
		l, err := host.OpenLedger(settings.Ledger)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		out := cmd.OutOrStdout()
		sent, left := 0, 0
		err = journal.Replay(ctx, settings.Journal, l, func(r journal.Replayed) {
			if r.Err != nil {
				left++
				fmt.Fprintf(out, "stays  %s  %v\n", filepath.Base(r.File), r.Err)
				return
			}
			sent++
			fmt.Fprintf(out, "sent   %s  event %s\n", filepath.Base(r.File), r.Event.ID)
		})
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		fmt.Fprintf(out, "%d events sent, %d stay set aside\n", sent, left)
		if left > 0 {
			return exitAttention, fmt.Errorf("%d events stay in %s", left, filepath.Join(settings.Journal, "rejected"))
		}
		return caddy.ExitCodeSuccess, nil
	})
}

func ledgerExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [--format csv|ndjson] [--output <file>] [--from <time>] [--to <time>] [--server <name>] [--tool <name>] [--table <name>] [--user <id or e-mail>] [--key <id>] [--outcome <outcome>]",
		Short: "Writes events of the ledger out as CSV or NDJSON",
		Long: `
Writes the events that match, newest first, to the standard output or to a
file, which appears when it is complete. Events that still wait in the journal
are not among them. A time is a day in UTC, as in 2026-01-31, which is included
whole, or a day and time, as in 2026-01-31T12:00:00Z.`,
	}
	var o exportOptions
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "csv or ndjson (default: what --output ends in, or csv)")
	f.StringVar(&o.output, "output", "", "File to write to (default: the standard output)")
	f.StringVar(&o.from, "from", "", "Events from this time or day on")
	f.StringVar(&o.to, "to", "", "Events before this time, or up to the end of this day")
	f.StringVar(&o.filter.Server, "server", "", "Events of the MCP server with this name")
	f.StringVar(&o.filter.Tool, "tool", "", "Events of this tool")
	f.StringVar(&o.filter.Table, "table", "", "Events that touched this table")
	f.StringVar(&o.user, "user", "", "Events of this user, by ID or e-mail address")
	f.StringVar(&o.filter.KeyID, "key", "", "Events of the key with this ID")
	f.StringVar((*string)(&o.filter.Outcome), "outcome", "", "Events that ended so: ok, tool_error, rpc_error, http_error or aborted")
	return settingsCommand(cmd, cobra.NoArgs, func(ctx context.Context, settings Settings) (int, error) {
		if err := o.run(ctx, settings, cmd.OutOrStdout()); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
}

// exportOptions are export's flags.
type exportOptions struct {
	format, output, from, to, user string
	filter                         usage.Filter
}

func (o *exportOptions) run(ctx context.Context, settings Settings, out io.Writer) (err error) {
	if err := o.complete(ctx, settings); err != nil {
		return err
	}
	if o.output != "" {
		partial := o.output + ".partial"
		file, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(o.write(ctx, settings, file), file.Close()); err != nil {
			return errors.Join(err, os.Remove(partial))
		}
		return os.Rename(partial, o.output)
	}
	return o.write(ctx, settings, out)
}

// complete reads the flags that need reading.
func (o *exportOptions) complete(ctx context.Context, settings Settings) (err error) {
	if o.filter.From, err = readTime("from", o.from, usage.Start); err != nil {
		return err
	}
	if o.filter.To, err = readTime("to", o.to, usage.End); err != nil {
		return err
	}
	if !o.filter.From.IsZero() && !o.filter.To.IsZero() && !o.filter.From.Before(o.filter.To) {
		return errors.New("--from must be before --to")
	}
	if id, err := uuid.Parse(o.filter.KeyID); o.filter.KeyID != "" && (err != nil || id.String() != o.filter.KeyID) {
		return fmt.Errorf("--key must be the ID of a key, as `tallygate keys list` shows it, not %s", identity.Quote(o.filter.KeyID))
	}
	if o.filter.Outcome != "" && !slices.Contains(usage.Outcomes, o.filter.Outcome) {
		return fmt.Errorf("--outcome: %q is none of ok, tool_error, rpc_error, http_error, aborted", o.filter.Outcome)
	}
	if o.format == "" {
		o.format = "csv"
		if ext := filepath.Ext(o.output); ext != "" {
			o.format = ext[1:]
		}
	}
	if _, err := export.New(o.format, io.Discard); err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	o.filter.UserID = o.user
	if strings.Contains(o.user, "@") {
		o.filter.UserID, err = userID(ctx, settings, o.user)
	}
	return err
}

// readTime reads a flag that is a time or a day; the zero time where it is not
// given.
func readTime(flag, text string, day usage.Bound) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := usage.ParseTime(text, day)
	if err != nil {
		return t, fmt.Errorf("--%s must be %w, not %q", flag, err, text)
	}
	return t, nil
}

// userID looks an e-mail address up in the store.
func userID(ctx context.Context, settings Settings, email string) (id string, err error) {
	release, err := existing("store", settings.Store)
	if err != nil {
		return "", err
	}
	defer release()
	store, err := host.OpenStore(settings.Store)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	users, err := store.Users(ctx)
	if err != nil {
		return "", err
	}
	for _, u := range users {
		if strings.EqualFold(u.Email, email) {
			return u.ID, nil
		}
	}
	return "", fmt.Errorf("--user: the store has no user %s", email)
}

func (o *exportOptions) write(ctx context.Context, settings Settings, out io.Writer) (err error) {
	release, err := existing("ledger", settings.Ledger)
	if err != nil {
		return err
	}
	defer release()
	l, err := host.OpenLedger(settings.Ledger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	w, err := export.New(o.format, out)
	if err != nil {
		return err
	}
	if err := usage.EachEvent(ctx, l, o.filter, w.Write); err != nil {
		return err
	}
	return w.Close()
}
