package sqlstore

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// ListenRetry is how long Listen waits before it listens again.
const ListenRetry = 250 * time.Millisecond

// Listen calls listen until the context ends. listen returns when its connection
// breaks.
func Listen(ctx context.Context, listen func()) {
	for ctx.Err() == nil {
		listen()
		select {
		case <-ctx.Done():
		case <-time.After(ListenRetry):
		}
	}
}

// Notify calls changed for a change as the schemas' triggers write it: "user ID"
// or "key DIGEST", in hexadecimal. It ignores anything else, which others may
// write there.
func Notify(change string, changed func(userID string, key identity.Digest)) {
	kind, id, _ := strings.Cut(change, " ")
	switch kind {
	case "user":
		if id != "" {
			changed(id, identity.Digest{})
		}
	case "key":
		var d identity.Digest
		if len(id) != hex.EncodedLen(len(d)) {
			return
		}
		if _, err := hex.Decode(d[:], []byte(id)); err == nil {
			changed("", d)
		}
	}
}
