package admin

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"

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
var filterQuery = []string{"tool", "table", "key_id", "outcome", "from", "to", "user"}

// historyAnswer is one page of events, newest first.
type historyAnswer struct {
	Items      []usage.Event `json:"items"`
	Page       int           `json:"page"` // 1 if a cursor was given
	PageSize   int           `json:"page_size"`
	Total      int64         `json:"total"`       // events on all pages
	NextCursor *string       `json:"next_cursor"` // null on the last page
}

func (a *API) history(ctx context.Context, r request) (int, any, error) {
	q, err := a.readHistory(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	page, err := a.ledger.History(ctx, q)
	if err != nil {
		return 0, nil, ledgerFault(err)
	}
	answer := historyAnswer{notNull(page.Events), q.Page, q.PageSize, page.Total, nil}
	if page.Next != "" {
		answer.NextCursor = &page.Next
	}
	if len(page.Events) == 0 && q.Page > 1 {
		size := int64(q.PageSize)
		p := notFound("page %d is out of range: the last page is %d", q.Page, max(1, (page.Total+size-1)/size))
		p.code = "page_out_of_range"
		return 0, nil, p
	}
	return http.StatusOK, answer, nil
}

func (a *API) readHistory(ctx context.Context, r request) (q usage.HistoryQuery, err error) {
	if q.Page, err = r.query.wholeNumber("page", 1, maxPage); err != nil {
		return q, err
	}
	if q.PageSize, err = r.query.wholeNumber("page_size", defaultPageSize, maxPageSize); err != nil {
		return q, err
	}
	if sent, given := r.query["cursor"]; given {
		if _, byPage := r.query["page"]; byPage {
			return q, invalid("cursor says where the page begins: leave page out")
		}
		if _, err := usage.ParseCursor(sent); err != nil {
			return q, invalid("cursor must be the next_cursor of an answer, not %s", quote(sent))
		}
		q.Cursor = sent
	}
	q.Filter, err = a.readFilter(ctx, r)
	return q, err
}

// readFilter reads the parameters that select calls.
func (a *API) readFilter(ctx context.Context, r request) (f usage.Filter, err error) {
	if f.From, f.To, err = r.query.span(); err != nil {
		return f, err
	}
	f.Tool, f.Table, f.Outcome = r.query["tool"], r.query["table"], usage.Outcome(r.query["outcome"])
	if f.Outcome != "" && !slices.Contains(usage.Outcomes, f.Outcome) {
		return f, invalid("outcome must be one of %v, not %s", usage.Outcomes, quote(r.query["outcome"]))
	}
	if f.KeyID, err = r.query.id("key_id", "the key_id of a key, as list shows it"); err != nil {
		return f, err
	}
	f.UserID, err = a.requestedUser(ctx, r)
	return f, err
}

// everyone is the value of the parameter user that asks for everyone's keys or
// usage.
const everyone = "all"

// requestedUser returns the ID of the user whose keys or usage a request asks for,
// or "" for everyone's. Without the parameter user that is the caller; only an
// admin may ask for another user's.
func (a *API) requestedUser(ctx context.Context, r request) (userID string, err error) {
	user, given := r.query["user"]
	if !given {
		return r.caller.ID, nil
	}
	if r.caller.Role != identity.Admin {
		return "", forbidden("only an admin may ask for another user's keys or usage: leave user out for your own")
	}
	if user == everyone {
		return "", nil
	}
	return a.userIDByEmail(ctx, user, "user must be "+everyone+" or a user's email address")
}

// userIDByEmail returns the ID of the user with an email address. must is the
// beginning of the error's message if it is not an address.
func (a *API) userIDByEmail(ctx context.Context, sent, must string) (string, error) {
	email, err := identity.NormalizeEmail(sent)
	if err != nil {
		return "", invalid("%s: %v", must, err)
	}
	u, err := a.store.UserByEmail(ctx, email)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return "", notFound("there is no user with the address %s", quote(email))
	case err != nil:
		return "", storeFault(err)
	}
	return u.ID, nil
}
