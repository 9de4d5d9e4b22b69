package commands

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/internal/sqlitefile"
)

// Exit statuses of the commands that work on the store, beside 0 and Caddy's 1
// for all that failed otherwise.
const (
	exitInvalid  = 2 // something that was entered is not valid
	exitNotFound = 4 // there is no such user or key
	exitConflict = 5 // the store's state forbids it: a taken address, the last admin, a key that is not active
)

const exitStatuses = `
The exit status is 0 when it is done, 2 when something entered is not valid, 4
when there is no such user or key, 5 when what there is forbids it, and 1 when
it failed otherwise.`

// storeTimeout bounds how long a command waits for the store.
const storeTimeout = 30 * time.Second

// storeCommand is a running command on the store.
type storeCommand struct {
	*cobra.Command
	settings Settings
	store    identity.Store
	args     []string
	asJSON   bool
}

// newStoreCommand makes a command that works on the store that a config names, and
// waits no longer than storeTimeout for it.
func newStoreCommand(cmd *cobra.Command, args cobra.PositionalArgs, run func(context.Context, *storeCommand) error) *cobra.Command {
	return newPatientStoreCommand(cmd, args, func(ctx context.Context, c *storeCommand) error {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		return run(ctx, c)
	})
}

// newPatientStoreCommand is newStoreCommand without the timeout, for a command that
// waits for a person. The store tells the gates that run of what it changes, or they
// find out within authn.MaxAge.
func newPatientStoreCommand(cmd *cobra.Command, args cobra.PositionalArgs, run func(context.Context, *storeCommand) error) *cobra.Command {
	return makeStoreCommand(cmd, args, false, run)
}

// makeStoreCommand makes a command that works on the store. Only one that may be the
// first to use the store creates it.
func makeStoreCommand(cmd *cobra.Command, args cobra.PositionalArgs, creates bool, run func(context.Context, *storeCommand) error) *cobra.Command {
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	cmd.Long = strings.TrimRight(cmd.Long, "\n") + "\n" + exitStatuses
	return settingsCommand(cmd, args, func(ctx context.Context, settings Settings) (status int, err error) {
		if !creates {
			release, err := existing("store", settings.Store)
			if err != nil {
				return exitNotFound, err
			}
			defer release()
		}
		store, err := host.OpenStore(settings.Store)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		defer func() {
			if closed := store.Close(); err == nil && closed != nil {
				status, err = caddy.ExitCodeFailedStartup, closed
			}
		}()
		err = run(ctx, &storeCommand{cmd, settings, store, cmd.Flags().Args(), *asJSON})
		return exitStatus(err), err
	})
}

// existing returns an error if a DSN names an SQLite file that is not there: a
// command in the wrong folder would make an empty one. what names it in the error.
// The function that it returns is called when the file is closed. It gives what the
// command made beside the file to the file's owner, so that root leaves nothing that
// the gate cannot open.
func existing(what, dsn string) (release func(), err error) {
	path, _, err := sqlitefile.Split(dsn)
	if err != nil {
		return func() {}, nil //nolint:nilerr // another kind of DSN
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s %s: run this in the folder of the gate, or name its config with --config", what, path)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the %s: %w", what, err)
	}
	return func() {
		for _, suffix := range []string{"-wal", "-shm", ".lock"} {
			giveTo(info, path+suffix)
		}
	}, nil
}

func exitStatus(err error) int {
	var invalid identity.Invalid
	switch {
	case err == nil:
		return caddy.ExitCodeSuccess
	case errors.As(err, &invalid):
		return exitInvalid
	case errors.Is(err, identity.ErrNotFound):
		return exitNotFound
	case errors.Is(err, identity.ErrEmailTaken), errors.Is(err, identity.ErrLastAdmin), errors.Is(err, identity.ErrNotActive):
		return exitConflict
	default:
		return caddy.ExitCodeFailedStartup
	}
}

// user finds a user by e-mail address or ID.
func (c *storeCommand) user(ctx context.Context, name string) (u identity.User, err error) {
	if strings.Contains(name, "@") {
		var email string
		if email, err = identity.NormalizeEmail(name); err != nil {
			return u, err
		}
		u, err = c.store.UserByEmail(ctx, email)
	} else {
		u, err = c.store.User(ctx, name)
	}
	if err != nil {
		return u, fmt.Errorf("looking for the user %s: %w", identity.Quote(name), err)
	}
	return u, nil
}

// print writes an answer: as JSON, or as rows whose first is a heading.
func (c *storeCommand) print(answer any, rows ...[]string) error {
	out := c.OutOrStdout()
	if c.asJSON {
		return printJSON(out, answer)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// items is a list in an answer.
type items[T any] struct {
	Items []T `json:"items"`
}

func printJSON(out io.Writer, answer any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(answer)
}

// password asks the person at the terminal for a new password, twice, or reads
// a line from the standard input where that is no terminal.
func (c *storeCommand) password(ctx context.Context) (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), identity.MaxPasswordBytes+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", identity.Invalid("there is no password on the standard input: send it as a line")
		}
		return line, nil
	}
	password, err := c.prompt(ctx, fd, "New password: ")
	if err != nil {
		return "", err
	}
	again, err := c.prompt(ctx, fd, "Once more: ")
	if err == nil && again != password {
		err = identity.Invalid("the two passwords differ")
	}
	return password, err
}

// prompt reads a line from the terminal without showing it. A signal ends it,
// and the terminal shows what is typed again.
func (c *storeCommand) prompt(ctx context.Context, fd int, text string) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("asking for the password: %w", err)
	}
	c.PrintErr(text)
	defer c.PrintErrln()
	type line struct {
		text []byte
		err  error
	}
	lines := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		lines <- line{text, err}
	}()
	select {
	case l := <-lines:
		if l.err != nil {
			return "", fmt.Errorf("asking for the password: %w", l.err)
		}
		return string(l.text), nil
	case <-ctx.Done():
		return "", errors.Join(errors.New("no password was entered"), term.Restore(fd, before))
	}
}

// limitFlags are the flags of limits.
func limitFlags(cmd *cobra.Command, whose string) *identity.Limits {
	l := new(identity.Limits)
	f := cmd.Flags()
	f.Int64Var(&l.CallsPerMinute, "calls-per-minute", 0, "Calls a minute "+whose+" (0: no limit)")
	f.Int64Var(&l.Burst, "burst", 0, "Calls at once within the calls a minute (0: a second's worth, and at least 5)")
	f.Int64Var(&l.CallsPerDay, "calls-per-day", 0, "Calls a day, from midnight UTC, "+whose)
	f.Int64Var(&l.RecordsPerDay, "records-per-day", 0, "Records a day, from midnight UTC, "+whose)
	f.Int64Var(&l.ConcurrentCalls, "concurrent-calls", 0, "Calls at the same time "+whose)
	return l
}

// moment is a time in an answer: nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// shownTime is a time in a row.
func shownTime(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.Format(time.RFC3339)
}

// shownLimits returns limits as a row shows them.
func shownLimits(l identity.Limits) string {
	var parts []string
	for _, f := range identity.LimitFields {
		if value := *f.Of(&l); value > 0 {
			parts = append(parts, fmt.Sprint(value, " ", f.Unit))
		}
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}
