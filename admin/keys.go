package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

// maxExpiresDays is the longest life of a key that does expire, in days.
const maxExpiresDays = 3650

// createdKey is a new key. It is the only answer that holds a key in full.
type createdKey struct {
	ID        string     `json:"key_id"`
	Name      string     `json:"key_name"`
	Key       string     `json:"api_key"`
	Prefix    string     `json:"key_prefix"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// listedKey is a key as it may be shown. The owner is named only where keys of
// others may be among them.
type listedKey struct {
	ID        string          `json:"key_id"`
	Name      string          `json:"key_name"`
	Prefix    string          `json:"key_prefix"`
	Status    identity.Status `json:"status"`
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt *time.Time      `json:"expires_at"`
	RevokedAt *time.Time      `json:"revoked_at"`
	UserID    string          `json:"user_id,omitempty"`
	UserEmail string          `json:"user_email,omitempty"`
}

// keyList is the answer of list.
type keyList struct {
	Items []listedKey `json:"items"`
}

func (a *API) createKey(ctx context.Context, r request) (int, any, error) {
	name, err := r.body.text("key_name")
	if err != nil {
		return 0, nil, err
	}
	days, err := r.body.wholeNumber("expires_days", maxExpiresDays)
	if err != nil {
		return 0, nil, err
	}
	k, key, err := identity.IssueKey(r.caller.ID, name, time.Time{})
	if entry, ok := errors.AsType[identity.Invalid](err); ok {
		return 0, nil, invalid("key_name: %v", entry)
	}
	if err != nil {
		return 0, nil, err
	}
	if days > 0 {
		k.ExpiresAt = k.CreatedAt.AddDate(0, 0, days)
	}
	if err := a.store.CreateKey(ctx, k); err != nil {
		return 0, nil, storeFault(err)
	}
	return http.StatusCreated, createdKey{k.ID, k.Name, key, k.Prefix, k.CreatedAt, moment(k.ExpiresAt)}, nil
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
	answer := keyList{Items: make([]listedKey, len(keys))}
	for i, k := range keys {
		answer.Items[i] = listed(k)
		if email, known := emails[k.UserID]; known {
			answer.Items[i].UserID, answer.Items[i].UserEmail = k.UserID, email
		}
	}
	return http.StatusOK, answer, nil
}

func (a *API) revokeKey(ctx context.Context, r request) (int, any, error) {
	sent, err := r.body.text("key_id")
	if err != nil {
		return 0, nil, err
	}
	owner := r.caller.ID
	if r.caller.Role == identity.Admin {
		owner = "" // anyone
	}
	unknown := notFound("there is no key with the key_id %s", quote(sent))
	id, valid := keyID(sent)
	if !valid {
		return 0, nil, unknown
	}
	k, err := a.store.RevokeKey(ctx, owner, id, time.Now(), "")
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return 0, nil, unknown
	case err != nil:
		return 0, nil, storeFault(err)
	}
	return http.StatusOK, listed(k), nil
}

// listed is a key as it may be shown, without its owner.
func listed(k identity.Key) listedKey {
	return listedKey{
		ID: k.ID, Name: k.Name, Prefix: k.Prefix, Status: k.Status(time.Now()),
		CreatedAt: k.CreatedAt, ExpiresAt: moment(k.ExpiresAt), RevokedAt: moment(k.RevokedAt),
	}
}

// moment is a time in an answer, null when there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// keyID returns the ID of a key as the store and the ledger write it, and
// whether s is one at all.
func keyID(s string) (string, bool) {
	id, err := uuid.Parse(s)
	return id.String(), err == nil && len(s) == len(id.String())
}
