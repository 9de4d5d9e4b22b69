package mcp

import (
	"fmt"
	"mime"
	"strings"
)

// ContentError says why a request is refused because of its content headers.
type ContentError struct {
	Status int    // the HTTP status to answer with: 400, or 415 for a media type other than JSON
	Reason string // for the person who sent the request
}

func (e *ContentError) Error() string { return e.Reason }

// CheckContent checks the values of a request's Content-Type and
// Content-Encoding headers. A body passes if every upstream reads its bytes as
// they are: JSON in UTF-8, not encoded. The error is a *ContentError.
//
// Content-Encoding must be absent or "identity", which every server leaves as it
// is. Anything else, including a list or another spelling, is decoded by some
// servers and not by others. Content-Type must be application/json with no
// parameter but a charset of UTF-8: servers look for the charset in different
// ways, some inside other parameters.
func CheckContent(contentType, contentEncoding []string) error {
	if len(contentEncoding) > 1 || len(contentEncoding) == 1 && contentEncoding[0] != "identity" {
		return &ContentError{400, fmt.Sprintf("the body must not be encoded, but Content-Encoding is %q", strings.Join(contentEncoding, ", "))}
	}
	if len(contentType) > 1 {
		return &ContentError{400, "there is more than one Content-Type"}
	}
	if len(contentType) == 0 {
		return &ContentError{415, "there is no Content-Type; it must be application/json"}
	}
	if contentType[0] == "application/json" { // nearly always
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(contentType[0])
	if err != nil {
		return &ContentError{400, fmt.Sprintf("Content-Type %q cannot be read: %v", contentType[0], err)}
	}
	if mediaType != "application/json" {
		return &ContentError{415, fmt.Sprintf("Content-Type must be application/json, not %q", mediaType)}
	}
	for name, value := range params {
		if name != "charset" {
			return &ContentError{400, fmt.Sprintf("Content-Type has a parameter other than charset: %q", name)}
		}
		if !strings.EqualFold(value, "utf-8") && !strings.EqualFold(value, "utf8") {
			return &ContentError{400, fmt.Sprintf("the charset must be utf-8, not %q", value)}
		}
	}
	return nil
}

var _ error = (*ContentError)(nil)
