package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// soon is how long before its expiry a key is said to expire soon.
const soon = 14 * 24 * time.Hour

// listedKey is a key as it may be shown.
type listedKey struct {
	ID           string          `json:"key_id"`
	Name         string          `json:"key_name"`
	Note         string          `json:"note"`
	Prefix       string          `json:"key_prefix"`
	Status       identity.Status `json:"status"`
	ExpiringSoon bool            `json:"expiring_soon"`
	CreatedAt    time.Time       `json:"created_at"`
	ExpiresAt    *time.Time      `json:"expires_at"`
	RevokedAt    *time.Time      `json:"revoked_at"`
	RevokeReason *string         `json:"revoke_reason"`
	LastUsedAt   *time.Time      `json:"last_used_at"`
	Scopes       []string        `json:"scopes"`
	Limits       shownLimits     `json:"limits"`
	Replaces     *string         `json:"replaces"`
	ReplacedBy   *string         `json:"replaced_by"`
}

// keyItem is a key in a list. The owner is named only where keys of others may
// be among them.
type keyItem struct {
	listedKey
	CallsThisMonth *int64 `json:"calls_this_month"` // null while the ledger cannot tell
	UserID         string `json:"user_id,omitempty"`
	UserEmail      string `json:"user_email,omitempty"`
}

// keyList is the answer of list.
type keyList struct {
	Items []keyItem `json:"items"`
}

func (a *API) listKeys(ctx context.Context, r request) (int, any, error) {
	userID, err := a.whose(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	keys, err := a.store.Keys(ctx, userID)
	if err != nil {
		return 0, nil, storeFault(err)
	}
	emails := map[string]string{} // by user ID
	if _, given := r.query["user"]; given {
		users, err := a.store.Users(ctx)
		if err != nil {
			return 0, nil, storeFault(err)
		}
		for _, u := range users {
			emails[u.ID] = u.Email
		}
	}
	calls := a.callsThisMonth(ctx, userID, keys)
	answer := keyList{Items: make([]keyItem, len(keys))}
	for i, k := range keys {
		item := keyItem{listedKey: listed(k)}
		if calls != nil {
			n := calls[k.ID]
			item.CallsThisMonth = &n
		}
		if email, known := emails[k.UserID]; known {
			item.UserID, item.UserEmail = k.UserID, email
		}
		answer.Items[i] = item
	}
	return http.StatusOK, answer, nil
}

// countTimeout bounds how long a list waits for the ledger.
const countTimeout = 3 * time.Second

// callsThisMonth counts the calls of this UTC month by key, for the keys of a
// user or, for "", of several. It is nil when the ledger cannot tell: keys can
// be managed all the same.
func (a *API) callsThisMonth(ctx context.Context, userID string, keys []identity.Key) map[string]int64 {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	year, month, _ := time.Now().UTC().Date()
	calls, err := a.ledger.KeyCalls(ctx, userID, ids, time.Date(year, month, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		a.logger.Warn("calls of keys not counted", "error", err)
		return nil
	}
	return calls
}

// listed is a key as it may be shown. One that a rotation has replaced needs
// nobody's attention when it expires.
func listed(k identity.Key) listedKey {
	now := time.Now()
	return listedKey{
		ID: k.ID, Name: k.Name, Note: k.Note, Prefix: k.Prefix,
		Status: k.Status(now), ExpiringSoon: k.ExpiresWithin(soon, now) && k.ReplacedBy == "",
		CreatedAt: k.CreatedAt, ExpiresAt: moment(k.ExpiresAt),
		RevokedAt: moment(k.RevokedAt), RevokeReason: optional(k.RevokeReason), LastUsedAt: moment(k.LastUsedAt),
		Scopes: none(k.Scopes), Limits: showLimits(k.Limits),
		Replaces: optional(k.Replaces), ReplacedBy: optional(k.ReplacedBy),
	}
}

// moment is a time in an answer, null when there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// optional is a string in an answer, null when there is none.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// none is a list in an answer: [] in JSON when it is empty, not null.
func none[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
