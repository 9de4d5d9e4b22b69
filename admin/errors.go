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

// conflict returns a 409: the request contradicts the current state.
func conflict(code string, why error) *problem {
	return &problem{status: http.StatusConflict, code: code, message: why.Error()}
}

func tooMany(what string, wait time.Duration) *problem {
	seconds := int(math.Ceil(wait.Seconds()))
	return &problem{
		status: http.StatusTooManyRequests, code: "too_many_requests", retryAfter: seconds,
		message: fmt.Sprintf("%s: try again in %d seconds", what, seconds),
	}
}

// storeFault returns a 503 for an error of the store other than ErrNotFound.
func storeFault(cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, code: "store_unavailable",
		message: "store unavailable: users and keys cannot be read or changed at the moment, try again shortly",
		cause:   cause,
	}
}

// ledgerFault returns a 503 for an error of the ledger.
func ledgerFault(cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, code: "ledger_unavailable",
		message: "ledger unavailable: usage cannot be read at the moment, try again shortly",
		cause:   cause,
	}
}

// busy returns a 503 for a login that had to wait too long.
func busy(cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, code: "busy",
		message: "too many logins at once: try again shortly",
		cause:   cause,
	}
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
