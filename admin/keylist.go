package admin

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// soon is how long before its expiry a key is shown as expiring soon.
const soon = 14 * 24 * time.Hour

// listedKey is a key in a reply, without the key itself.
type listedKey struct {
	ID           string            `json:"key_id"`
	Name         string            `json:"key_name"`
	Note         string            `json:"note"`
	Prefix       string            `json:"key_prefix"`
	Status       identity.Status   `json:"status"`
	ExpiringSoon bool              `json:"expiring_soon"`
	CreatedAt    time.Time         `json:"created_at"`
	ExpiresAt    *time.Time        `json:"expires_at"`
	RevokedAt    *time.Time        `json:"revoked_at"`
	RevokeReason *string           `json:"revoke_reason"`
	LastUsedAt   *time.Time        `json:"last_used_at"`
	Scopes       []string          `json:"scopes"`
	Limits       map[string]*int64 `json:"limits"`
	Replaces     *string           `json:"replaces"`
	ReplacedBy   *string           `json:"replaced_by"`
}

// keyItem is a key in a list. The owner is named only in lists that may have other
// users' keys.
type keyItem struct {
	listedKey
	CallsThisMonth *int64 `json:"calls_this_month"` // null while the ledger is unavailable
	UserID         string `json:"user_id,omitempty"`
	UserEmail      string `json:"user_email,omitempty"`
}

func (a *API) listKeys(ctx context.Context, r *request) (any, error) {
	userID := a.requestedUser(ctx, r)
	if r.query.err != nil {
		return nil, r.query.err
	}
	keys, err := a.store.Keys(ctx, userID)
	if err != nil {
		return nil, storeFault(err)
	}
	owners := map[string]identity.User{} // by ID
	if r.query.given("user") {
		users, err := a.store.Users(ctx)
		if err != nil {
			return nil, storeFault(err)
		}
		for _, u := range users {
			owners[u.ID] = u
		}
	}
	calls := a.callsThisMonth(ctx, userID, keys)
	return showAll(keys, func(k identity.Key) keyItem {
		item := keyItem{listedKey: listed(k)}
		if calls != nil {
			item.CallsThisMonth = new(calls[k.ID])
		}
		if owner, known := owners[k.UserID]; known {
			item.UserID, item.UserEmail = owner.ID, owner.Email
			item.Status = k.StatusOf(owner, time.Now())
			item.ExpiringSoon = item.ExpiringSoon && item.Status == identity.Active
		}
		return item
	}), nil
}

// countTimeout limits how long a list waits for the ledger.
const countTimeout = 3 * time.Second

// callsThisMonth returns the number of calls in this UTC month by key. userID is
// the owner of all keys, or "" if there are several. It returns nil if the ledger
// is unavailable: keys can be managed without it.
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
		a.logger.Warn("could not count the calls of keys", "error", err)
		return nil
	}
	return calls
}

// listed returns a key as a reply shows it. A key that has been replaced by a
// rotation is meant to expire, and not shown as expiring soon.
func listed(k identity.Key) listedKey {
	now := time.Now()
	return listedKey{
		ID: k.ID, Name: k.Name, Note: k.Note, Prefix: k.Prefix,
		Status: k.Status(now), ExpiringSoon: k.ExpiresWithin(soon, now) && k.ReplacedBy == "",
		CreatedAt: k.CreatedAt, ExpiresAt: orNull(k.ExpiresAt),
		RevokedAt: orNull(k.RevokedAt), RevokeReason: orNull(k.RevokeReason), LastUsedAt: orNull(k.LastUsedAt),
		Scopes: notNull(k.Scopes), Limits: showLimits(k.Limits),
		Replaces: orNull(k.Replaces), ReplacedBy: orNull(k.ReplacedBy),
	}
}

// notNull returns a list in a reply. In JSON it is [] if it is empty, not null.
func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
