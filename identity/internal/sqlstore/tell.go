package sqlstore

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// ListenAgain is how long after listening broke off it begins anew.
const ListenAgain = 250 * time.Millisecond

// Listen listens again and again: once returns when it has broken off.
func Listen(ctx context.Context, once func()) {
	for ctx.Err() == nil {
		once()
		select {
		case <-ctx.Done():
		case <-time.After(ListenAgain):
		}
	}
}

// Tell tells of a change as the schemas' triggers write it: "user ID" or "key
// DIGEST", in hexadecimal. What others may write there says nothing.
func Tell(change string, changed func(userID string, key identity.Digest)) {
	what, which, _ := strings.Cut(change, " ")
	switch what {
	case "user":
		if which != "" {
			changed(which, identity.Digest{})
		}
	case "key":
		var d identity.Digest
		if len(which) != hex.EncodedLen(len(d)) {
			return
		}
		if _, err := hex.Decode(d[:], []byte(which)); err == nil {
			changed("", d)
		}
	}
}
