package admin

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// userAnswer is a user in a reply, without the password's hash.
type userAnswer struct {
	ID        string            `json:"user_id"`
	Email     string            `json:"email"`
	Role      identity.Role     `json:"role"`
	Disabled  bool              `json:"disabled"`
	Limits    map[string]*int64 `json:"limits"`
	CreatedAt time.Time         `json:"created_at"`
}

func shownUser(u identity.User) userAnswer {
	return userAnswer{u.ID, u.Email, u.Role, u.Disabled, showLimits(u.Limits), u.CreatedAt}
}

func (a *API) listUsers(ctx context.Context, _ *request) (any, error) {
	users, err := a.store.Users(ctx)
	return showAll(users, shownUser), storeProblem(err, nil)
}

func (a *API) createUser(ctx context.Context, r *request) (any, error) {
	email, password := r.body.email(), r.body.text("password")
	role, limits := r.body.role(), r.body.limits()
	if r.body.err != nil {
		return nil, r.body.err
	}
	u, err := identity.NewUser(ctx, email, password, role)
	if err != nil {
		return nil, passwordProblem("password", err) // the other fields have been checked
	}
	u.Limits = limits
	return shownUser(u), storeProblem(a.store.CreateUser(ctx, u), nil)
}

// role returns the field role. If it is left out or null, that is Member.
func (b *bodyFields) role() identity.Role {
	if !b.givenValue("role") {
		return identity.Member
	}
	role := identity.Role(b.text("role"))
	b.fail(invalidField("role", role.Check()))
	return role
}

func (a *API) disableUser(ctx context.Context, r *request) (any, error) {
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetDisabled(ctx, id, true) })
}

func (a *API) enableUser(ctx context.Context, r *request) (any, error) {
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetDisabled(ctx, id, false) })
}

func (a *API) setRole(ctx context.Context, r *request) (any, error) {
	r.body.text("role") // it must be there
	role := r.body.role()
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetRole(ctx, id, role) })
}

func (a *API) setUserLimits(ctx context.Context, r *request) (any, error) {
	if !r.body.given("limits") {
		return nil, invalid("limits is missing")
	}
	limits := r.body.limits()
	return a.changeUser(ctx, r, func(id string) error { return a.store.SetUserLimits(ctx, id, limits) })
}

// changeUser changes the user that a body names, and replies with the user as
// changed.
func (a *API) changeUser(ctx context.Context, r *request, change func(id string) error) (any, error) {
	id, missing := r.body.id("user_id", "user")
	if r.body.err != nil {
		return nil, r.body.err
	}
	if err := change(id); err != nil {
		return nil, storeProblem(err, missing)
	}
	u, err := a.store.User(ctx, id)
	return shownUser(u), storeProblem(err, missing)
}

func (a *API) endUserSessions(ctx context.Context, r *request) (any, error) {
	id, missing := r.body.id("user_id", "user")
	if r.body.err != nil {
		return nil, r.body.err
	}
	return nil, storeProblem(a.store.EndSessions(ctx, id), missing)
}
