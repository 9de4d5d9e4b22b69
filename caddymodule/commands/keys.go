package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "keys",
		Usage: "create|list|revoke|rotate",
		Short: "Manages the API keys of the store",
		Long: `
Works on the store that a config names, or on the default where there is no
config; beside gates that run, which follow within a second, or without one. A
key is named by its ID, which list shows; the key itself is shown once, when it
is made.`,
		CobraFunc: func(cmd *cobra.Command) {
			group(cmd, keysCreate(), keysList(), keysRevoke(), keysRotate())
		},
	})
}

// shownKey is a key in an answer.
type shownKey struct {
	ID           string          `json:"key_id"`
	Name         string          `json:"key_name"`
	Key          string          `json:"api_key,omitempty"` // when it is new
	Prefix       string          `json:"key_prefix"`
	Status       identity.Status `json:"status"`
	UserID       string          `json:"user_id"`
	UserEmail    string          `json:"user_email"`
	CreatedAt    time.Time       `json:"created_at"`
	ExpiresAt    *time.Time      `json:"expires_at"`
	LastUsedAt   *time.Time      `json:"last_used_at"`
	RevokedAt    *time.Time      `json:"revoked_at"`
	RevokeReason string          `json:"revoke_reason,omitempty"`
	Note         string          `json:"note"`
	Scopes       []string        `json:"scopes"`
	Limits       identity.Limits `json:"limits"`
	Replaces     string          `json:"replaces,omitempty"`
	ReplacedBy   string          `json:"replaced_by,omitempty"`
}

func showKey(k identity.Key, owner identity.User, key string) shownKey {
	return shownKey{
		ID: k.ID, Name: k.Name, Key: key, Prefix: k.Prefix, Status: k.StatusOf(owner, time.Now()), UserID: k.UserID, UserEmail: owner.Email,
		CreatedAt: k.CreatedAt, ExpiresAt: moment(k.ExpiresAt), LastUsedAt: moment(k.LastUsedAt), RevokedAt: moment(k.RevokedAt),
		RevokeReason: k.RevokeReason, Note: k.Note, Scopes: append([]string{}, k.Scopes...), Limits: k.Limits,
		Replaces: k.Replaces, ReplacedBy: k.ReplacedBy,
	}
}

// newKeyRows show a key that was made, for people.
func newKeyRows(k identity.Key, email, key string) [][]string {
	scopes := "every tool"
	if len(k.Scopes) > 0 {
		scopes = strings.Join(k.Scopes, " ")
	}
	return [][]string{
		{"API key", key + "   (shown once)"}, {"ID", k.ID}, {"Name", k.Name}, {"User", email},
		{"Expires", shownTime(k.ExpiresAt, "never")}, {"Scopes", scopes}, {"Limits", shownLimits(k.Limits)},
	}
}

func keysCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --name <name> [--user <user>] [--expires <days, duration or date>] [--scope <pattern>]... [--note <text>] [--calls-per-minute <n>] [--burst <n>] [--calls-per-day <n>] [--records-per-day <n>] [--concurrent-calls <n>]",
		Short: "Makes an API key",
		Long: `
Makes an API key and prints it, once. A scope is a tool's name, in which * stands
for any characters, or one that is denied, with ! in front; without a scope the
key may call every tool. What is not limited here is limited as its user's keys
are.`,
	}
	f := cmd.Flags()
	var spec identity.KeySpec
	f.StringVar(&spec.Name, "name", "", "The key's name")
	f.StringVar(&spec.Note, "note", "", "What else there is to say of it")
	f.StringArrayVar(&spec.Scopes, "scope", nil, "What the key may use, as in query_*, !run_sql, stock-data/query_*, resources or prompts; may be given several times")
	user := f.String("user", "", "Whose key it is, by e-mail address or ID (default: the only user's)")
	expires := f.String("expires", "", "When it expires: after 90d or 12h, at the end of the day 2027-01-31, or at 2027-01-31T12:00:00Z (default: never)")
	limits := limitFlags(cmd, "of the key")
	return newStoreCommand(cmd, cobra.NoArgs, func(ctx context.Context, c *storeCommand) (err error) {
		spec.Limits = *limits
		if spec.ExpiresAt, err = readExpiry(*expires, time.Now()); err != nil {
			return err
		}
		owner, err := c.owner(ctx, *user)
		if err != nil {
			return err
		}
		k, key, err := c.settings.KeyFormat.Issue(owner.ID, spec)
		if err != nil {
			return err
		}
		if err := c.store.CreateKey(ctx, k); err != nil {
			return fmt.Errorf("making the key: %w", err)
		}
		return c.print(showKey(k, owner, key), newKeyRows(k, owner.Email, key)...)
	})
}

// owner is the user that a flag names, or the only one.
func (c *storeCommand) owner(ctx context.Context, name string) (identity.User, error) {
	if name != "" {
		return c.user(ctx, name)
	}
	users, err := c.store.Users(ctx)
	if err != nil {
		return identity.User{}, fmt.Errorf("looking for the user: %w", err)
	}
	if len(users) != 1 {
		return identity.User{}, identity.Invalid(fmt.Sprintf("the store has %d users: say with --user whose key it is", len(users)))
	}
	return users[0], nil
}

// readExpiry reads when a key expires: after some time, or at some time.
func readExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := caddy.ParseDuration(text); err == nil {
		if d <= 0 {
			return time.Time{}, identity.Invalid("--expires: a key must expire in the future, or never")
		}
		return now.Add(d), nil
	}
	at, err := usage.ParseTime(text, usage.End)
	if err != nil {
		return at, identity.Invalid(fmt.Sprintf("--expires: %s is none of 90d, 12h, 2027-01-31 and 2027-01-31T12:00:00Z", identity.Quote(text)))
	}
	return at, nil
}

func keysList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--user <user>]",
		Short: "Lists the API keys, newest first",
		Long:  "Lists the API keys of a user, or of all. When a key was last used is true within a minute.",
	}
	user := cmd.Flags().String("user", "", "Whose keys, by e-mail address or ID (default: everyone's)")
	return newStoreCommand(cmd, cobra.NoArgs, func(ctx context.Context, c *storeCommand) error {
		ownerID := ""
		if *user != "" {
			owner, err := c.user(ctx, *user)
			if err != nil {
				return err
			}
			ownerID = owner.ID
		}
		owners, err := c.owners(ctx)
		if err != nil {
			return err
		}
		keys, err := c.store.Keys(ctx, ownerID)
		if err != nil {
			return fmt.Errorf("listing the keys: %w", err)
		}
		list := items[shownKey]{[]shownKey{}}
		rows := [][]string{{"PREFIX", "STATUS", "NAME", "USER", "CREATED", "EXPIRES", "LAST USED", "ID"}}
		for _, k := range keys {
			shown := showKey(k, owners[k.UserID], "")
			list.Items = append(list.Items, shown)
			rows = append(rows, []string{
				k.Prefix, string(shown.Status), k.Name, shown.UserEmail,
				shownTime(k.CreatedAt, ""), shownTime(k.ExpiresAt, "never"), shownTime(k.LastUsedAt, "never"), k.ID,
			})
		}
		return c.print(list, rows...)
	})
}

// owners returns the users by their IDs.
func (c *storeCommand) owners(ctx context.Context) (map[string]identity.User, error) {
	users, err := c.store.Users(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the users: %w", err)
	}
	owners := make(map[string]identity.User, len(users))
	for _, u := range users {
		owners[u.ID] = u
	}
	return owners, nil
}

// key finds a key by its ID, or by the key itself.
func (c *storeCommand) key(ctx context.Context, name string) (k identity.Key, err error) {
	if identity.WellFormed(name) {
		k, _, err = c.store.KeyByDigest(ctx, identity.DigestOf(name))
		return k, err
	}
	return c.store.Key(ctx, name)
}

func keysRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke <key ID or key> [--reason <text>]",
		Short: "Revokes an API key",
		Long: `
Revokes an API key for good: its next call is refused and its open streams end.
A key that is revoked already keeps its first reason.`,
	}
	reason := cmd.Flags().String("reason", "", "Why")
	return newStoreCommand(cmd, cobra.ExactArgs(1), func(ctx context.Context, c *storeCommand) error {
		owners, err := c.owners(ctx)
		if err != nil {
			return err
		}
		k, err := c.key(ctx, c.args[0])
		if err == nil {
			k, err = c.store.RevokeKey(ctx, "", k.ID, time.Now(), *reason)
		}
		if err != nil {
			return fmt.Errorf("revoking the key %s: %w", identity.Quote(c.args[0]), err)
		}
		return c.print(showKey(k, owners[k.UserID], ""), []string{fmt.Sprintf("Revoked the key %q (%s)", k.Name, k.Prefix)})
	})
}

func keysRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate <key ID or key> [--overlap <duration>]",
		Short: "Replaces an API key by a new one",
		Long: `
Makes a new key with the name, note, scopes and limits of an old one and prints
it, once. The old key goes on working for the overlap. The new one lives as long
as the old one was made to live.`,
	}
	overlap := cmd.Flags().String("overlap", "24h", "How long the old key goes on working, as in 0, 12h or 7d")
	return newStoreCommand(cmd, cobra.ExactArgs(1), func(ctx context.Context, c *storeCommand) error {
		wait, err := caddy.ParseDuration(*overlap)
		if err != nil || wait < 0 {
			return identity.Invalid(fmt.Sprintf("--overlap: %s is not a duration, as in 0, 12h or 7d", identity.Quote(*overlap)))
		}
		old, err := c.key(ctx, c.args[0])
		if err != nil {
			return fmt.Errorf("rotating the key %s: %w", identity.Quote(c.args[0]), err)
		}
		owners, err := c.owners(ctx)
		if err != nil {
			return err
		}
		fresh, key := c.settings.KeyFormat.Replacement(old)
		old, fresh, err = c.store.RotateKey(ctx, "", old.ID, fresh, time.Now().Add(wait))
		if err != nil {
			return fmt.Errorf("rotating the key %s: %w", old.ID, err)
		}
		owner := owners[fresh.UserID]
		return c.print(struct {
			shownKey
			Old shownKey `json:"old_key"`
		}{showKey(fresh, owner, key), showKey(old, owner, "")},
			append(newKeyRows(fresh, owner.Email, key), []string{"Old key", fmt.Sprintf("%s, until %s", old.Prefix, shownTime(old.ExpiresAt, "never"))})...)
	})
}
