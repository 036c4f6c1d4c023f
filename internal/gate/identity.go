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
	// Claims is the whole payload; nil for an API key.
	Claims *claims.Set

	// User is who is calling: the first of the provider's identity claims that the token has, together with the issuer unless the provider joins issuers. It is "" if the token has none of the claims.
	User string
	// Groups, Email, TokenName, ClientID and Application are what the provider's identity settings find in the token; empty where there is nothing.
	Groups                                  []string
	Email, TokenName, ClientID, Application string
	// Credential is the name of the API key or individual key that was used, "" for others.
	Credential string
	// Session is what the identity may do at this API; nil if a valid token is all that the API asks for.
	Session *Session
}
