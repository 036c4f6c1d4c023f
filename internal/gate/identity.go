package gate

import (
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/limit"
)

// Identity is who is calling, as a verified token or an API key says. It is read-only.
type Identity struct {
	// Provider is the name of the provider whose key verified the token; "" for an API key.
	Provider string
	// Issuer and Subject are iss and sub, "" where the token has none; an API key has no issuer, and its subject is its owner. A subject means something only together with its issuer (RFC 7519 section 4.1.2).
	Issuer, Subject string
	// KeyID is the kid of the key that verified the token ("" if it has none), Algorithm the alg.
	KeyID, Algorithm string
	// Expires is the end of the token without clock skew; zero if it has none.
	Expires time.Time
	// Claims is the whole payload; that of an API key is empty.
	Claims *claims.Set

	// User is who is calling: the first of the provider's identity claims that the token has. It is "" if the token has none of them, or if the first is empty. Two issuers may have users of one name.
	User string
	// Issued is when the token was issued (iat), or the API key made; zero if that is not known.
	Issued time.Time
	// Groups, Email, TokenName, ClientID and Application are what the provider's identity settings find in the token; empty where there is nothing.
	Groups                                  []string
	Email, TokenName, ClientID, Application string
	// Policies are the policies that an API key or individual key names; other tokens name theirs in claims.
	Policies []string
	// Credential is the ID of the API key or individual key that was used, "" for others. With one, nothing that the claims say gives any rights.
	Credential string
	// Session is what the identity may do at this API; nil if a valid token is all that the API asks for.
	Session *Session

	// JoinsIssuers says that the provider takes users of one name for one, whoever issued their tokens.
	JoinsIssuers bool
	key          limit.Key
}

// UserKey tells users apart, of all issuers, in counters: a hash of the user, and of the issuer unless the provider joins issuers. It is zero if User is "". It is computed for every call, if neither KeepUserKey
// nor SetUserKey was called before: most APIs count nobody.
func (i *Identity) UserKey() limit.Key {
	if i.key != (limit.Key{}) {
		return i.key
	}
	return NewUserKey(i.Issuer, i.User, i.JoinsIssuers)
}

// KeepUserKey computes UserKey for all later calls. It is for APIs that count users, and must be called before others have the identity.
func (i *Identity) KeepUserKey() { i.key = i.UserKey() }

// SetUserKey is KeepUserKey with another key, for those who are not told apart by issuer and user.
func (i *Identity) SetUserKey(key limit.Key) { i.key = key }

// NewUserKey is the UserKey of a user of an issuer, or, if issuers are joined, of the user of that name.
func NewUserKey(issuer, user string, joined bool) limit.Key {
	switch {
	case user == "":
		return limit.Key{}
	case joined:
		return limit.NewKey("joined user", user)
	}
	return limit.NewKey("user", issuer, user)
}

// NewOwnerKey is the UserKey of the owner of API keys, or, if nobody owns a key, of the key with that ID. It is never that of a user of an issuer.
func NewOwnerKey(owner, id string) limit.Key {
	if owner == "" {
		return limit.NewKey("api key", id)
	}
	return limit.NewKey("api key owner", owner)
}

// NewIndividualKey is the UserKey of the subject of an individual key of a provider that takes any issuer: what such a token says of its issuer is the caller's own word, by which he could have many keys.
func NewIndividualKey(provider, subject string) limit.Key {
	return limit.NewKey("individual key", provider, subject)
}

// Size is about how many bytes of memory the identity holds on to, beside itself and its claims.
func (i *Identity) Size() int { return cap(i.Groups)*16 + i.Session.Size() }
