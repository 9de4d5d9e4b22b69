package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
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
	ID        string        `json:"invite_id"`
	Email     string        `json:"email"`
	Role      identity.Role `json:"role"`
	Limits    shownLimits   `json:"limits"`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt time.Time     `json:"expires_at"`
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

// inviteList is the reply of invites/list.
type inviteList struct {
	Items []inviteItem `json:"items"`
}

func shownInvite(i identity.Invite) inviteAnswer {
	return inviteAnswer{i.ID, i.Email, i.Role, showLimits(i.Limits), i.CreatedAt, i.ExpiresAt}
}

func (a *API) invite(ctx context.Context, r request) (int, any, error) {
	email, err := r.body.email("email")
	if err != nil {
		return 0, nil, err
	}
	role, limits, err := r.body.roleAndLimits()
	if err != nil {
		return 0, nil, err
	}
	hours, err := r.body.wholeNumberFrom(1, "expires_hours", defaultInviteHours, maxInviteHours)
	if err != nil {
		return 0, nil, err
	}
	i, token, err := identity.NewInvite(email, role, limits, time.Duration(hours)*time.Hour)
	if err != nil {
		return 0, nil, err
	}
	err = a.store.CreateInvite(ctx, i)
	switch {
	case errors.Is(err, identity.ErrEmailTaken):
		return 0, nil, conflict("email_taken", err)
	case err != nil:
		return 0, nil, storeFault(err)
	}
	base := cmp.Or(a.baseURL, r.origin)
	return http.StatusCreated, newInvite{shownInvite(i), base + invitePage + token, token}, nil
}

func (a *API) listInvites(ctx context.Context, _ request) (int, any, error) {
	invites, err := a.store.Invites(ctx)
	if err != nil {
		return 0, nil, storeFault(err)
	}
	now := time.Now()
	answer := inviteList{make([]inviteItem, len(invites))}
	for n, i := range invites {
		answer.Items[n] = inviteItem{shownInvite(i), !i.Open(now)}
	}
	return http.StatusOK, answer, nil
}

func (a *API) withdrawInvite(ctx context.Context, r request) (int, any, error) {
	id, missing, err := r.body.id("invite_id", "open invitation")
	if err != nil {
		return 0, nil, err
	}
	err = a.store.WithdrawInvite(ctx, id)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return 0, nil, missing
	case err != nil:
		return 0, nil, storeFault(err)
	}
	return http.StatusNoContent, nil, nil
}

// acceptInvite creates a user for an invitation's token. The password, which is
// expensive to hash, is hashed only if the invitation exists.
func (a *API) acceptInvite(ctx context.Context, r request) (int, any, error) {
	token, err := r.body.text("token")
	if err != nil {
		return 0, nil, err
	}
	password, err := r.body.text("password")
	if err != nil {
		return 0, nil, err
	}
	gone := notFound("the invitation is not valid: it was accepted, withdrawn or replaced, or it has expired; ask for a new one")
	digest := identity.InviteDigest(token)
	i, err := a.store.InviteByDigest(ctx, digest)
	switch {
	case errors.Is(err, identity.ErrNotFound) || err == nil && !i.Open(time.Now()):
		return 0, nil, gone
	case err != nil:
		return 0, nil, storeFault(err)
	}
	hash, err := a.hash(ctx, "password", password)
	if err != nil {
		return 0, nil, err
	}
	u := identity.User{ID: uuidv7.New(time.Now()).String(), Email: i.Email, PasswordHash: hash, CreatedAt: time.Now()}
	u, err = a.store.AcceptInvite(identity.WithActor(ctx, r.actor(u)), digest, u)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return 0, nil, gone
	case errors.Is(err, identity.ErrEmailTaken):
		return 0, nil, conflict("email_taken", err)
	case err != nil:
		return 0, nil, storeFault(err)
	}
	return http.StatusCreated, shownUser(u), nil
}
