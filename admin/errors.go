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

// problem is an error that the client is told: an HTTP status, a code for
// programs, and a message for people. Its cause is for the log alone.
type problem struct {
	status     int
	code       string
	message    string
	retryAfter int    // seconds, sent as Retry-After when positive
	allow      string // sent as Allow when not empty
	cause      error
}

func (p *problem) Error() string { return p.message }

// invalid is the client's mistake: what was wrong and what is allowed.
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

// invalidField is the client's mistake in a field, in the words of an
// identity.Invalid; any other error is what it was.
func invalidField(name string, err error) error {
	if words, ok := errors.AsType[identity.Invalid](err); ok {
		return invalid("%s: %v", name, words)
	}
	return err
}

// conflict is that something stands against what the client wants.
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

// storeFault is what the client is told when the store fails for a reason
// other than ErrNotFound.
func storeFault(cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, code: "store_unavailable",
		message: "store unavailable: users and keys cannot be read or changed at the moment, try again shortly",
		cause:   cause,
	}
}

// ledgerFault is what the client is told when the ledger fails.
func ledgerFault(cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, code: "ledger_unavailable",
		message: "ledger unavailable: usage cannot be read at the moment, try again shortly",
		cause:   cause,
	}
}

// busy is what the client is told when its turn did not come in time.
func busy(cause error) *problem {
	return &problem{
		status: http.StatusServiceUnavailable, code: "busy",
		message: "too many logins at once: try again shortly",
		cause:   cause,
	}
}

// problemOf turns any error into what the client may know of it.
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

// isContextError tells an error of a request that ran out of time, or whose
// client went away, from one of the work that it was doing.
func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
