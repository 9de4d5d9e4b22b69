package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// userAnswer is a user in a reply, without the password's hash.
type userAnswer struct {
	ID        string        `json:"user_id"`
	Email     string        `json:"email"`
	Role      identity.Role `json:"role"`
	Disabled  bool          `json:"disabled"`
	Limits    shownLimits   `json:"limits"`
	CreatedAt time.Time     `json:"created_at"`
}

// userList is the reply of list.
type userList struct {
	Items []userAnswer `json:"items"`
}

func shownUser(u identity.User) userAnswer {
	return userAnswer{u.ID, u.Email, u.Role, u.Disabled, showLimits(u.Limits), u.CreatedAt}
}

func (a *API) listUsers(ctx context.Context, _ request) (int, any, error) {
	users, err := a.store.Users(ctx)
	if err != nil {
		return 0, nil, storeFault(err)
	}
	answer := userList{make([]userAnswer, len(users))}
	for i, u := range users {
		answer.Items[i] = shownUser(u)
	}
	return http.StatusOK, answer, nil
}

func (a *API) createUser(ctx context.Context, r request) (int, any, error) {
	email, password, err := r.credentials()
	if err != nil {
		return 0, nil, err
	}
	role, limits, err := r.body.roleAndLimits()
	if err != nil {
		return 0, nil, err
	}
	return a.newUser(ctx, email, password, role, func(u *identity.User) context.Context {
		u.Limits = limits
		return ctx
	})
}

// newUser creates a user. complete may change the user before, and returns the
// context that names the author of the change.
func (a *API) newUser(ctx context.Context, email, password string, role identity.Role, complete func(*identity.User) context.Context) (int, any, error) {
	u, err := identity.NewUser(ctx, email, password, role)
	switch {
	case isContextError(err):
		return 0, nil, busy(err)
	case err != nil:
		return 0, nil, invalidField("password", err) // the other fields have been checked
	}
	err = a.store.CreateUser(complete(&u), u)
	switch {
	case errors.Is(err, identity.ErrEmailTaken):
		return 0, nil, conflict("email_taken", err)
	case err != nil:
		return 0, nil, storeFault(err)
	}
	return http.StatusCreated, shownUser(u), nil
}

// roleAndLimits returns the fields of a new user or an invitation that have
// defaults: role and limits.
func (o object) roleAndLimits() (role identity.Role, limits identity.Limits, err error) {
	if role, err = o.role(); err != nil {
		return "", limits, err
	}
	limits, _, err = o.limits()
	return role, limits, err
}

// role returns the field role. If it is left out, that is Member.
func (o object) role() (identity.Role, error) {
	if _, given := o["role"]; !given {
		return identity.Member, nil
	}
	sent, err := o.text("role")
	if err != nil {
		return "", err
	}
	role := identity.Role(sent)
	return role, invalidField("role", role.Check())
}

func (a *API) disableUser(ctx context.Context, r request) (int, any, error) {
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetDisabled(ctx, id, true) })
}

func (a *API) enableUser(ctx context.Context, r request) (int, any, error) {
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetDisabled(ctx, id, false) })
}

func (a *API) setRole(ctx context.Context, r request) (int, any, error) {
	if _, err := r.body.text("role"); err != nil {
		return 0, nil, err
	}
	role, err := r.body.role()
	if err != nil {
		return 0, nil, err
	}
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetRole(ctx, id, role) })
}

func (a *API) setUserLimits(ctx context.Context, r request) (int, any, error) {
	limits, given, err := r.body.limits()
	switch {
	case err != nil:
		return 0, nil, err
	case !given:
		return 0, nil, invalid("limits is missing")
	}
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetUserLimits(ctx, id, limits) })
}

// changeUser changes the user that a body names, and replies with the user as
// changed.
func (a *API) changeUser(ctx context.Context, r request, change func(id string) error) (int, any, error) {
	id, missing, err := r.body.id("user_id", "user")
	if err != nil {
		return 0, nil, err
	}
	var u identity.User
	if err = change(id); err == nil {
		u, err = a.store.User(ctx, id)
	}
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return 0, nil, missing
	case errors.Is(err, identity.ErrLastAdmin):
		return 0, nil, conflict("last_admin", err)
	case err != nil:
		return 0, nil, storeFault(err)
	}
	return http.StatusOK, shownUser(u), nil
}

func (a *API) endUserSessions(ctx context.Context, r request) (int, any, error) {
	id, missing, err := r.body.id("user_id", "user")
	if err != nil {
		return 0, nil, err
	}
	status, body, err := a.endSessions(ctx, id)
	if errors.Is(err, identity.ErrNotFound) {
		err = missing
	}
	return status, body, err
}

// endSessions invalidates all tokens of a user, or returns ErrNotFound.
func (a *API) endSessions(ctx context.Context, userID string) (int, any, error) {
	err := a.store.EndSessions(ctx, userID)
	if err != nil && !errors.Is(err, identity.ErrNotFound) {
		err = storeFault(err)
	}
	return http.StatusNoContent, nil, err
}
