package identity

import "crypto/sha256"

// Digest is the SHA-256 of a key.
type Digest [sha256.Size]byte
