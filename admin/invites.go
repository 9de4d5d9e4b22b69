package admin

import (
	"cmp"
	"context"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/internal/uuidv7"
)

// How long an invitation can be accepted.
const (
	defaultInviteHours = 72
	maxInviteHours     = 720
)

// invitePage is the path of an invitation's link. The token is in the link's
// fragment, which browsers do not send, so that it appears in no server's log.
const invitePage = "/invite#"

// inviteAnswer is an invitation in a reply, without its token.
type inviteAnswer struct {
	ID        string            `json:"invite_id"`
	Email     string            `json:"email"`
	Role      identity.Role     `json:"role"`
	Limits    map[string]*int64 `json:"limits"`
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt time.Time         `json:"expires_at"`
}

// newInvite is a new invitation. No other reply has the link.
type newInvite struct {
	inviteAnswer
	URL   string `json:"invite_url"`
	Token string `json:"token"`
}

// inviteItem is an invitation in a list.
type inviteItem struct {
	inviteAnswer
	Expired bool `json:"expired"`
}

func shownInvite(i identity.Invite) inviteAnswer {
	return inviteAnswer{i.ID, i.Email, i.Role, showLimits(i.Limits), i.CreatedAt, i.ExpiresAt}
}

func (a *API) invite(ctx context.Context, r *request) (any, error) {
	email, role, limits := r.body.email(), r.body.role(), r.body.limits()
	hours := r.body.wholeNumber("expires_hours", defaultInviteHours, 1, maxInviteHours)
	if r.body.err != nil {
		return nil, r.body.err
	}
	i, token, err := identity.NewInvite(email, role, limits, time.Duration(hours)*time.Hour)
	if err != nil {
		return nil, err
	}
	base := cmp.Or(a.baseURL, r.origin)
	return newInvite{shownInvite(i), base + invitePage + token, token}, storeProblem(a.store.CreateInvite(ctx, i), nil)
}

func (a *API) listInvites(ctx context.Context, _ *request) (any, error) {
	invites, err := a.store.Invites(ctx)
	now := time.Now()
	return showAll(invites, func(i identity.Invite) inviteItem { return inviteItem{shownInvite(i), !i.Open(now)} }), storeProblem(err, nil)
}

func (a *API) withdrawInvite(ctx context.Context, r *request) (any, error) {
	id, missing := r.body.id("invite_id", "open invitation")
	if r.body.err != nil {
		return nil, r.body.err
	}
	return nil, storeProblem(a.store.WithdrawInvite(ctx, id), missing)
}

// acceptInvite creates a user for an invitation's token. The password, which is
// expensive to hash, is hashed only if the invitation exists.
func (a *API) acceptInvite(ctx context.Context, r *request) (any, error) {
	token, password := r.body.text("token"), r.body.text("password")
	if r.body.err != nil {
		return nil, r.body.err
	}
	gone := notFound("the invitation is not valid: it was accepted, withdrawn or replaced, or it has expired; ask for a new one")
	digest := identity.InviteDigest(token)
	i, err := a.store.InviteByDigest(ctx, digest)
	if err != nil {
		return nil, storeProblem(err, gone)
	}
	if !i.Open(time.Now()) {
		return nil, gone
	}
	hash, err := identity.HashPassword(ctx, password, i.Email)
	if err != nil {
		return nil, passwordProblem("password", err)
	}
	u := identity.User{ID: uuidv7.New(time.Now()).String(), Email: i.Email, PasswordHash: hash, CreatedAt: time.Now()}
	u, err = a.store.AcceptInvite(identity.WithActor(ctx, r.actor(u)), digest, u)
	return shownUser(u), storeProblem(err, gone)
}
