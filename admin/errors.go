package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// problem is an error as the client sees it: an HTTP status, a code for programs,
// and a message for people. Its cause is only logged.
type problem struct {
	status     int
	code       string
	message    string
	retryAfter int    // seconds, sent as Retry-After when positive
	allow      string // sent as Allow when not empty
	cause      error
}

func (p *problem) Error() string { return p.message }

// invalid returns a 400 whose message says what was wrong and what is allowed.
func invalid(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, code: "invalid_request", message: fmt.Sprintf(format, args...)}
}

func unauthorized(message string) *problem {
	return &problem{status: http.StatusUnauthorized, code: "unauthorized", message: message}
}

func forbidden(message string) *problem {
	return &problem{status: http.StatusForbidden, code: "forbidden", message: message}
}

func notFound(format string, args ...any) *problem {
	return &problem{status: http.StatusNotFound, code: "not_found", message: fmt.Sprintf(format, args...)}
}

func unsupported(message string) *problem {
	return &problem{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: message}
}

// invalidField turns an identity.Invalid into a 400 about a field. It returns any
// other error unchanged.
func invalidField(name string, err error) error {
	if words, ok := errors.AsType[identity.Invalid](err); ok {
		return invalid("%s: %v", name, words)
	}
	return err
}

// throttled turns what an attempt's begin returned into a problem, or nil if the
// attempt may go on. what is the message of the one that has to wait.
func throttled(what string, wait time.Duration, err error) error {
	switch {
	case err != nil:
		return busy(err)
	case wait > 0:
		return tooMany(what, wait)
	}
	return nil
}

func tooMany(what string, wait time.Duration) *problem {
	seconds := int(math.Ceil(wait.Seconds()))
	return &problem{
		status: http.StatusTooManyRequests, code: "too_many_requests", retryAfter: seconds,
		message: fmt.Sprintf("%s: try again in %d seconds", what, seconds),
	}
}

// storeProblem turns an error of the store into a problem: missing for ErrNotFound
// (a 503 if missing is nil), a 409 for what contradicts the current state, a 503 for
// a fault. It returns nil for nil.
func storeProblem(err error, missing *problem) error {
	conflict := func(code string) *problem {
		return &problem{status: http.StatusConflict, code: code, message: err.Error()}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, identity.ErrNotFound) && missing != nil:
		return missing
	case errors.Is(err, identity.ErrNotActive):
		return conflict("key_not_active")
	case errors.Is(err, identity.ErrEmailTaken):
		return conflict("email_taken")
	case errors.Is(err, identity.ErrLastAdmin):
		return conflict("last_admin")
	default:
		return storeFault(err)
	}
}

// passwordProblem turns an error of hashing a password, the field of that name, into
// a problem. It returns nil for nil.
func passwordProblem(field string, err error) error {
	if isContextError(err) {
		return busy(err)
	}
	return invalidField(field, err)
}

// storeFault returns a 503 for a fault of the store.
func storeFault(cause error) *problem {
	return unavailable("store_unavailable", "store unavailable: users and keys cannot be read or changed at the moment, try again shortly", cause)
}

// ledgerFault returns a 503 for an error of the ledger.
func ledgerFault(cause error) *problem {
	return unavailable("ledger_unavailable", "ledger unavailable: usage cannot be read at the moment, try again shortly", cause)
}

// busy returns a 503 for a login that had to wait too long.
func busy(cause error) *problem {
	return unavailable("busy", "too many logins at once: try again shortly", cause)
}

func unavailable(code, message string, cause error) *problem {
	return &problem{status: http.StatusServiceUnavailable, code: code, message: message, cause: cause}
}

// problemOf turns any error into a problem. It hides what is not meant for the
// client behind a 500.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	return &problem{
		status: http.StatusInternalServerError, code: "internal_error",
		message: "something went wrong on the server: its log tells what",
		cause:   err,
	}
}

// isContextError reports whether an error means that the request ran out of time
// or its client went away, and not that the work failed.
func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
