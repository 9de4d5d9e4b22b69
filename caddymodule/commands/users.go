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
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "users",
		Usage: "add|list|disable|enable|passwd|invite",
		Short: "Manages the users of the store",
		Long: `
Works on the store that a config names, or on the default where there is no
config; beside gates that run, which follow within a second, or without one. A
user is named by e-mail address or ID. Passwords come from a prompt, or from the
standard input as a line; never from an argument.`,
		CobraFunc: func(cmd *cobra.Command) {
			group(cmd, usersAdd(), usersList(), usersDisable(), usersEnable(), usersPasswd(), usersInvite())
		},
	})
}

// shownUser is a user in an answer.
type shownUser struct {
	ID        string          `json:"user_id"`
	Email     string          `json:"email"`
	Role      identity.Role   `json:"role"`
	Disabled  bool            `json:"disabled"`
	Limits    identity.Limits `json:"limits"`
	CreatedAt time.Time       `json:"created_at"`
}

func showUser(u identity.User) shownUser {
	return shownUser{u.ID, u.Email, u.Role, u.Disabled, u.Limits, u.CreatedAt}
}

func usersAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add <e-mail> [--role admin|user] [--calls-per-minute <n>] [--burst <n>] [--calls-per-day <n>] [--records-per-day <n>] [--concurrent-calls <n>]",
		Short: "Makes a user",
		Long: `
Makes a user with a password that is asked for, or read from the standard input.
The limits are over all of the user's keys together.`,
	}
	role := cmd.Flags().String("role", string(identity.Member), "admin or user")
	limits := limitFlags(cmd, "of all of the user's keys together")
	return makeStoreCommand(cmd, cobra.ExactArgs(1), true, func(ctx context.Context, c *storeCommand) error {
		// Check what needs no password before asking for it.
		email, err := identity.NormalizeEmail(c.args[0])
		if err != nil {
			return err
		}
		if err := identity.Role(*role).Check(); err != nil {
			return err
		}
		if err := limits.Check(); err != nil {
			return err
		}
		password, err := c.password(ctx)
		if err != nil {
			return err
		}
		u, err := identity.NewUser(ctx, email, password, identity.Role(*role))
		if err != nil {
			return err
		}
		u.Limits = *limits
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		if err := c.store.CreateUser(ctx, u); err != nil {
			return fmt.Errorf("making the user %s: %w", u.Email, err)
		}
		return c.print(showUser(u), []string{"Made the user " + u.Email + " (" + u.ID + ")"})
	})
}

func usersList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "Lists the users", Long: "Lists the users, oldest first."}
	return newStoreCommand(cmd, cobra.NoArgs, func(ctx context.Context, c *storeCommand) error {
		users, err := c.store.Users(ctx)
		if err != nil {
			return fmt.Errorf("listing the users: %w", err)
		}
		list := items[shownUser]{[]shownUser{}}
		rows := [][]string{{"E-MAIL", "ROLE", "STATUS", "CREATED", "LIMITS OF EACH KEY", "ID"}}
		for _, u := range users {
			list.Items = append(list.Items, showUser(u))
			status := "active"
			if u.Disabled {
				status = "disabled"
			}
			rows = append(rows, []string{u.Email, string(u.Role), status, shownTime(u.CreatedAt, ""), shownLimits(u.Limits), u.ID})
		}
		return c.print(list, rows...)
	})
}

func usersDisable() *cobra.Command {
	return usersSetDisabled(&cobra.Command{
		Use:   "disable <user>",
		Short: "Refuses a user's login and keys",
		Long:  "Refuses the login of a user and every key of theirs, and ends their open streams.",
	}, true)
}

func usersEnable() *cobra.Command {
	return usersSetDisabled(&cobra.Command{
		Use:   "enable <user>",
		Short: "Undoes disable",
		Long:  "Takes the login of a user and their live keys again.",
	}, false)
}

func usersSetDisabled(cmd *cobra.Command, disabled bool) *cobra.Command {
	return newStoreCommand(cmd, cobra.ExactArgs(1), func(ctx context.Context, c *storeCommand) error {
		u, err := c.user(ctx, c.args[0])
		if err != nil {
			return err
		}
		if err := c.store.SetDisabled(ctx, u.ID, disabled); err != nil {
			return fmt.Errorf("changing the user %s: %w", u.Email, err)
		}
		u.Disabled = disabled
		done := "Enabled "
		if disabled {
			done = "Disabled "
		}
		return c.print(showUser(u), []string{done + u.Email})
	})
}

func usersPasswd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "passwd <user>",
		Short: "Sets a user's password",
		Long: `
Sets a user's password, which is asked for, or read from the standard input, and
ends their sessions. Their keys stay as they are.`,
	}
	return newPatientStoreCommand(cmd, cobra.ExactArgs(1), func(ctx context.Context, c *storeCommand) error {
		lookUp, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		u, err := c.user(lookUp, c.args[0])
		if err != nil {
			return err
		}
		password, err := c.password(ctx)
		if err != nil {
			return err
		}
		hash, err := identity.HashPassword(ctx, password, u.Email)
		if err != nil {
			return err
		}
		ctx, cancelSet := context.WithTimeout(ctx, storeTimeout)
		defer cancelSet()
		if err := c.store.SetPassword(ctx, u.ID, hash); err != nil {
			return fmt.Errorf("setting the password of %s: %w", u.Email, err)
		}
		return c.print(showUser(u), []string{"Set the password of " + u.Email})
	})
}

// invitePath is where the dashboard takes an invitation. The token is in the
// fragment, which browsers send to no server.
const invitePath = "/invite#"

func usersInvite() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invite <e-mail> [--role admin|user] [--valid <duration>] [--url <address of the admin site>]",
		Short: "Makes a one-time link with which a person makes themselves a user",
		Long: `
Makes an invitation, in place of any other for the same address. Whoever has its
link can make themselves the user, once. The limits are over all of the user's
keys together.`,
	}
	f := cmd.Flags()
	role := f.String("role", string(identity.Member), "admin or user")
	valid := f.String("valid", "3d", "How long the link can be used, as in 12h or 3d")
	url := f.String("url", "http://localhost:8000", "Where the invited person reaches the admin site")
	limits := limitFlags(cmd, "of all of the user's keys together")
	return newStoreCommand(cmd, cobra.ExactArgs(1), func(ctx context.Context, c *storeCommand) error {
		validFor, err := caddy.ParseDuration(*valid)
		if err != nil || validFor <= 0 {
			return identity.Invalid(fmt.Sprintf("--valid: %q is not a duration, as in 12h or 3d", *valid))
		}
		if err := identity.CheckBaseURL(*url); err != nil {
			return identity.Invalid(fmt.Sprintf("--url: %v", err))
		}
		i, token, err := identity.NewInvite(c.args[0], identity.Role(*role), *limits, validFor)
		if err != nil {
			return err
		}
		if err := c.store.CreateInvite(ctx, i); err != nil {
			return fmt.Errorf("inviting %s: %w", i.Email, err)
		}
		link := strings.TrimSuffix(*url, "/") + invitePath + token
		return c.print(struct {
			ID        string          `json:"invite_id"`
			Email     string          `json:"email"`
			Role      identity.Role   `json:"role"`
			Limits    identity.Limits `json:"limits"`
			CreatedAt time.Time       `json:"created_at"`
			ExpiresAt time.Time       `json:"expires_at"`
			URL       string          `json:"invite_url"`
			Token     string          `json:"token"`
		}{i.ID, i.Email, i.Role, i.Limits, i.CreatedAt, i.ExpiresAt, link, token},
			[]string{"Invited", i.Email}, []string{"Link", link}, []string{"Valid until", shownTime(i.ExpiresAt, "")})
	})
}
