package gate

import (
	"time"

	"github.com/jotgate/jotgate/internal/claims"
)

// Identity is who is calling, as a verified token says. It is read-only.
type Identity struct {
	// Provider is the name of the provider whose key verified the token.
	Provider string
	// Issuer and Subject are iss and sub, "" where the token has none. A subject means something only together with its issuer (RFC 7519 section 4.1.2).
	Issuer, Subject string
	// KeyID is the kid of the key that verified the token ("" if it has none), Algorithm the alg.
	KeyID, Algorithm string
	// Expires is the end of the token without clock skew; zero if it has none.
	Expires time.Time
	// Claims is the whole payload.
	Claims *claims.Set
}
