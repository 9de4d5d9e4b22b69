package admin

import (
	"context"
	"math"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// Bounds of the query parameters on usage.
const (
	defaultPageSize = 20
	maxPageSize     = 200
	maxPage         = math.MaxInt32 // so that no offset overflows
)

// filterQuery names the query parameters that select calls.
var filterQuery = []string{"server", "tool", "table", "key_id", "outcome", "from", "to", "user"}

// historyAnswer is one page of events, newest first.
type historyAnswer struct {
	Items      []usage.Event `json:"items"`
	Page       int           `json:"page"` // 1 if a cursor was given
	PageSize   int           `json:"page_size"`
	Total      int64         `json:"total"`       // events on all pages
	NextCursor *string       `json:"next_cursor"` // null on the last page
}

func (a *API) history(ctx context.Context, r *request) (any, error) {
	q := usage.HistoryQuery{
		Page:     r.query.wholeNumber("page", 1, maxPage),
		PageSize: r.query.wholeNumber("page_size", defaultPageSize, maxPageSize),
		Cursor:   r.query.params["cursor"],
	}
	if q.Cursor != "" {
		if r.query.given("page") {
			r.query.fail(invalid("cursor says where the page begins: leave page out"))
		}
		if _, err := usage.ParseCursor(q.Cursor); err != nil {
			r.query.fail(invalid("cursor must be the next_cursor of an answer, not %s", quote(q.Cursor)))
		}
	}
	q.Filter = a.readFilter(ctx, r)
	if r.query.err != nil {
		return nil, r.query.err
	}
	page, err := a.ledger.History(ctx, q)
	if err != nil {
		return nil, ledgerFault(err)
	}
	if len(page.Events) == 0 && q.Page > 1 {
		size := int64(q.PageSize)
		p := notFound("page %d is out of range: the last page is %d", q.Page, max(1, (page.Total+size-1)/size))
		p.code = "page_out_of_range"
		return nil, p
	}
	return historyAnswer{notNull(page.Events), q.Page, q.PageSize, page.Total, orNull(page.Next)}, nil
}

// readFilter reads the parameters that select calls.
func (a *API) readFilter(ctx context.Context, r *request) usage.Filter {
	f := usage.Filter{Server: r.query.params["server"], Tool: r.query.params["tool"], Table: r.query.params["table"]}
	f.From, f.To = r.query.span()
	f.Outcome = oneOf(&r.query, "outcome", usage.Outcomes)
	f.KeyID = r.query.id("key_id", "the key_id of a key, as list shows it")
	f.UserID = a.requestedUser(ctx, r)
	return f
}

// everyone is the value of the parameter user that asks for everyone's keys or
// usage.
const everyone = "all"

// requestedUser returns the ID of the user whose keys or usage a request asks for,
// or "" for everyone's. Without the parameter user that is the caller; only an
// admin may ask for another user's.
func (a *API) requestedUser(ctx context.Context, r *request) (userID string) {
	switch {
	case !r.query.given("user"):
		return r.caller.ID
	case r.caller.Role != identity.Admin:
		r.query.fail(forbidden("only an admin may ask for another user's keys or usage: leave user out for your own"))
		return ""
	case r.query.params["user"] == everyone:
		return ""
	}
	return a.userIDByEmail(ctx, r, "user", everyone+" or a user's email address")
}

// userIDByEmail returns the ID of the user whose email address a parameter is, or ""
// if it is absent. what says in the error's message what the parameter must be.
func (a *API) userIDByEmail(ctx context.Context, r *request, name, what string) string {
	if !r.query.given(name) || r.query.err != nil {
		return ""
	}
	email, err := identity.NormalizeEmail(r.query.params[name])
	if err != nil {
		r.query.fail(invalid("%s must be %s: %v", name, what, err))
		return ""
	}
	u, err := a.store.UserByEmail(ctx, email)
	r.query.fail(storeProblem(err, notFound("there is no user with the address %s", quote(email))))
	return u.ID
}
