package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// idempotencyHeader makes a request safe to repeat.
const idempotencyHeader = "Idempotency-Key"

// idempotencyKey returns the header's value, "" when it is not there.
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

// onceOnly returns what makes the request safe to repeat, if it says that it
// is to be, and the answer that it had before, if it had one.
func (a *API) onceOnly(ctx context.Context, r request) (*identity.Idempotency, any, error) {
	if r.once == "" {
		return nil, nil, nil
	}
	said, err := json.Marshal(r.body) // the same in whatever order and spacing it was sent
	if err != nil {
		return nil, nil, err
	}
	once, err := identity.NewIdempotency(r.caller.ID, r.once, said)
	if err != nil {
		return nil, nil, invalidField(idempotencyHeader, err)
	}
	kept, err := a.kept(ctx, r, once)
	if errors.Is(err, identity.ErrNotFound) {
		return once, nil, nil
	}
	return once, kept, err
}

// kept returns the answer that a request had before, or ErrNotFound.
func (a *API) kept(ctx context.Context, r request, once *identity.Idempotency) (any, error) {
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

// createKeyOnce creates a key and keeps the answer, unless the same request is
// being answered already: then the answer is that one's.
func (a *API) createKeyOnce(ctx context.Context, r request, once *identity.Idempotency, k identity.Key, answer createdKey) (int, any, error) {
	encoded, err := json.Marshal(answer)
	if err != nil {
		return 0, nil, err
	}
	err = a.store.CreateKeyOnce(ctx, k, once.Seal(encoded, k.CreatedAt))
	switch {
	case errors.Is(err, identity.ErrReceiptTaken):
		kept, err := a.kept(ctx, r, once)
		if errors.Is(err, identity.ErrNotFound) {
			err = storeFault(err)
		}
		return http.StatusCreated, kept, err
	case err != nil:
		return 0, nil, storeFault(err)
	}
	return http.StatusCreated, json.RawMessage(encoded), nil
}
