package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// idempotencyHeader is the header that makes a request safe to repeat.
const idempotencyHeader = "Idempotency-Key"

// idempotencyKey returns the header's value, or "" if it is absent.
func idempotencyKey(h http.Header) (string, error) {
	switch sent := h.Values(idempotencyHeader); {
	case len(sent) > 1:
		return "", invalid("%s is given %d times", idempotencyHeader, len(sent))
	case len(sent) == 1 && sent[0] == "":
		return "", invalid("%s is empty: send a random UUID or leave it out", idempotencyHeader)
	default:
		return h.Get(idempotencyHeader), nil
	}
}

// idempotency returns nil if the request has no Idempotency-Key. Otherwise it
// returns the means to store the reply, or the reply itself if the same request
// has been answered before.
func (a *API) idempotency(ctx context.Context, r *request) (*identity.Idempotency, any, error) {
	if r.once == "" {
		return nil, nil, nil
	}
	content, err := json.Marshal(r.body.object) // without the order and the spacing in which it was sent
	if err != nil {
		return nil, nil, err
	}
	once, err := identity.NewIdempotency(r.caller.ID, r.once, content)
	if err != nil {
		return nil, nil, invalidField(idempotencyHeader, err)
	}
	kept, err := a.storedReply(ctx, r, once)
	if errors.Is(err, identity.ErrNotFound) {
		return once, nil, nil
	}
	return once, kept, err
}

// storedReply returns the reply to an earlier request with the same key, or
// ErrNotFound.
func (a *API) storedReply(ctx context.Context, r *request, once *identity.Idempotency) (any, error) {
	receipt, err := a.store.Receipt(ctx, r.caller.ID, once.ID(), time.Now())
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return nil, err
	case err != nil:
		return nil, storeFault(err)
	}
	answer, err := once.Open(receipt)
	if errors.Is(err, identity.ErrOtherRequest) {
		return nil, &problem{
			status: http.StatusUnprocessableEntity, code: "idempotency_key_reused",
			message: "this " + idempotencyHeader + " came with another request before: send a new one with each new request",
		}
	}
	return json.RawMessage(answer), err
}

// createKeyOnce creates a key and stores the reply. If the same request is being
// served at the same time, it returns the reply to that one.
func (a *API) createKeyOnce(ctx context.Context, r *request, once *identity.Idempotency, k identity.Key, answer createdKey) (any, error) {
	encoded, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	err = a.store.CreateKeyOnce(ctx, k, once.Seal(encoded, k.CreatedAt))
	if errors.Is(err, identity.ErrReceiptTaken) {
		kept, err := a.storedReply(ctx, r, once)
		if errors.Is(err, identity.ErrNotFound) {
			err = storeFault(err)
		}
		return kept, err
	}
	return json.RawMessage(encoded), storeProblem(err, nil)
}
