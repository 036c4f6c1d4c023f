package gate

import "slices"

// Reason is the stable code of a check that can refuse a request. Codes are never renamed or reused: alerts and dashboards are built on them.
type Reason string

// The reasons. What each means is in reasonTable.
const (
	ReasonInternal      Reason = "internal_error"
	ReasonNoRoute       Reason = "route_not_found"
	ReasonQuarantined   Reason = "api_quarantined"
	ReasonBadTarget     Reason = "request_target_invalid"
	ReasonBadHost       Reason = "host_invalid"
	ReasonBadMessage    Reason = "message_invalid"
	ReasonHeaderLarge   Reason = "header_too_large"
	ReasonBodyLarge     Reason = "body_too_large"
	ReasonSlowRequest   Reason = "request_timeout"
	ReasonClientGone    Reason = "client_gone"
	ReasonMisdirected   Reason = "misdirected_request"
	ReasonNotReady      Reason = "not_ready"
	ReasonHTTPVersion   Reason = "http_version_unsupported"
	ReasonBodyForm      Reason = "form_invalid"
	ReasonBadForwarding Reason = "header_field_invalid"
	ReasonMethod        Reason = "method_unsupported"

	ReasonTokenMissing        Reason = "token_missing"
	ReasonTokenAmbiguous      Reason = "token_ambiguous"
	ReasonSchemeUnsupported   Reason = "authorization_scheme_unsupported"
	ReasonTokenTooLarge       Reason = "token_too_large"
	ReasonTokenMalformed      Reason = "token_malformed"
	ReasonTokenEncrypted      Reason = "token_encrypted"
	ReasonHeaderInvalid       Reason = "token_header_invalid"
	ReasonCritical            Reason = "token_critical_header"
	ReasonAlgUnsupported      Reason = "algorithm_unsupported"
	ReasonAlgNotAllowed       Reason = "algorithm_not_allowed"
	ReasonPayloadInvalid      Reason = "token_payload_invalid"
	ReasonTypeMismatch        Reason = "token_type_mismatch"
	ReasonIssuerMissing       Reason = "issuer_missing"
	ReasonIssuerUnknown       Reason = "issuer_unknown"
	ReasonKeyUnknown          Reason = "key_unknown"
	ReasonKeyAmbiguous        Reason = "key_ambiguous"
	ReasonKeysUnavailable     Reason = "keys_unavailable"
	ReasonSignature           Reason = "signature_invalid"
	ReasonExpired             Reason = "token_expired"
	ReasonExpiryMissing       Reason = "expiry_missing"
	ReasonNotYetValid         Reason = "token_not_yet_valid"
	ReasonIssuedInFuture      Reason = "token_issued_in_future"
	ReasonTooOld              Reason = "token_too_old"
	ReasonLifetimeTooLong     Reason = "token_lifetime_too_long"
	ReasonTimeInvalid         Reason = "token_time_invalid"
	ReasonAudienceMissing     Reason = "audience_missing"
	ReasonAudienceMismatch    Reason = "audience_mismatch"
	ReasonSubjectMismatch     Reason = "subject_mismatch"
	ReasonTokenBound          Reason = "token_bound"
	ReasonKeysUnknown         Reason = "api_keys_unknown"
	ReasonAPIKeyMissing       Reason = "api_key_missing"
	ReasonAPIKeyUnknown       Reason = "api_key_unknown"
	ReasonAPIKeySuspended     Reason = "api_key_suspended" //nolint:gosec // a code, no key
	ReasonAPIKeyExpired       Reason = "api_key_expired"
	ReasonAPIKeyElsewhere     Reason = "api_key_for_other_apis" //nolint:gosec // a code, no key
	ReasonCredentialSuspended Reason = "credential_suspended"   //nolint:gosec // a code, no secret
	ReasonCredentialExpired   Reason = "credential_expired"     //nolint:gosec // a code, no secret
	ReasonRevoked             Reason = "token_revoked"
	ReasonRevocationsUnknown  Reason = "revocations_unknown"
	ReasonClaimMissing        Reason = "claim_missing"
	ReasonClaimInvalid        Reason = "claim_invalid"
	ReasonScope               Reason = "scope_insufficient"
	ReasonClaims              Reason = "claims_refused"
	ReasonForwardClaim        Reason = "claim_not_forwardable"

	ReasonIdentityMissing     Reason = "identity_missing"
	ReasonPolicyMissing       Reason = "policy_missing"
	ReasonPolicyUnknown       Reason = "policy_unknown"
	ReasonPolicyInactive      Reason = "policy_inactive"
	ReasonPolicyConflict      Reason = "policies_conflict"
	ReasonAPINotGranted       Reason = "api_not_granted"
	ReasonOperationNotGranted Reason = "operation_not_granted"
	ReasonGroupMissing        Reason = "group_missing"
	ReasonApplicationUnknown  Reason = "application_unknown"
	ReasonSubscriptionMissing Reason = "subscription_missing"
	ReasonGrantExpired        Reason = "grant_expired"

	ReasonRateLimited      Reason = "rate_limited"
	ReasonQuotaExhausted   Reason = "quota_exhausted"
	ReasonStoreUnavailable Reason = "store_unavailable"

	ReasonNoServer         Reason = "upstream_unavailable"
	ReasonConnect          Reason = "upstream_connect_failed"
	ReasonUpstreamProtocol Reason = "upstream_protocol_error"
	ReasonUpstreamTimeout  Reason = "upstream_timeout"
	ReasonUpstreamAborted  Reason = "upstream_aborted"
	ReasonDeadline         Reason = "exchange_timeout"
)

type reasonInfo struct {
	kind Kind
	text string // for clients: no values, RFC 6750 error_description characters only
}

// reasonTable is the one place where a reason gets its kind and its text.
var reasonTable = map[Reason]reasonInfo{
	ReasonInternal:      {KindInternal, "The gateway failed to handle the request"},
	ReasonNoRoute:       {KindNotFound, "No API matches the request"},
	ReasonQuarantined:   {KindUnavailable, "The API's configuration is broken, so it is closed"},
	ReasonBadTarget:     {KindBadRequest, "The request target is invalid or ambiguous"},
	ReasonBadHost:       {KindBadRequest, "The Host header is missing or invalid"},
	ReasonBadMessage:    {KindBadRequest, "The HTTP message is malformed"},
	ReasonHeaderLarge:   {KindHeaderTooLarge, "The request header is larger than allowed"},
	ReasonBodyLarge:     {KindTooLarge, "The request body is larger than allowed"},
	ReasonSlowRequest:   {KindRequestTimeout, "The request did not arrive in time"},
	ReasonClientGone:    {KindClientGone, "The client closed the connection"},
	ReasonMisdirected:   {KindMisdirected, "The Host header names another host than the TLS connection"},
	ReasonNotReady:      {KindUnavailable, "The gateway is starting or stopping"},
	ReasonHTTPVersion:   {KindVersionUnsupported, "The HTTP version is not supported"},
	ReasonBodyForm:      {KindBadRequest, "The form body cannot be read"},
	ReasonBadForwarding: {KindBadRequest, "A header field has an invalid name or value"},
	ReasonMethod:        {KindNotImplemented, "The method is not supported"},

	ReasonTokenMissing:        {KindUnauthenticated, "A token is required"},
	ReasonTokenAmbiguous:      {KindInvalidCredentials, "More than one token or API key was sent"},
	ReasonSchemeUnsupported:   {KindUnauthenticated, "The Authorization header must use the Bearer scheme"},
	ReasonTokenTooLarge:       {KindInvalidToken, "The token is too large"},
	ReasonTokenMalformed:      {KindInvalidToken, "The token is not a compact JWS"},
	ReasonTokenEncrypted:      {KindInvalidToken, "Encrypted tokens are not accepted"},
	ReasonHeaderInvalid:       {KindInvalidToken, "The token's header is invalid"},
	ReasonCritical:            {KindInvalidToken, "The token's header has critical parameters that are not understood"},
	ReasonAlgUnsupported:      {KindInvalidToken, "The token's signature algorithm is not supported"},
	ReasonAlgNotAllowed:       {KindInvalidToken, "The token's signature algorithm is not allowed for its issuer"},
	ReasonPayloadInvalid:      {KindInvalidToken, "The token's payload is not a valid claims object"},
	ReasonTypeMismatch:        {KindInvalidToken, "The token is of another type than expected"},
	ReasonIssuerMissing:       {KindInvalidToken, "The token names no issuer"},
	ReasonIssuerUnknown:       {KindInvalidToken, "The token's issuer is not trusted here"},
	ReasonKeyUnknown:          {KindInvalidToken, "The token was signed with an unknown key"},
	ReasonKeyAmbiguous:        {KindInvalidToken, "The token names no key and too many keys would fit"},
	ReasonKeysUnavailable:     {KindUnavailable, "The issuer's keys are not available"},
	ReasonSignature:           {KindInvalidToken, "The token's signature is invalid"},
	ReasonExpired:             {KindInvalidToken, "The token has expired"},
	ReasonExpiryMissing:       {KindInvalidToken, "The token has no expiry"},
	ReasonNotYetValid:         {KindInvalidToken, "The token is not valid yet"},
	ReasonIssuedInFuture:      {KindInvalidToken, "The token was issued in the future"},
	ReasonTooOld:              {KindInvalidToken, "The token was issued too long ago"},
	ReasonLifetimeTooLong:     {KindInvalidToken, "The token is valid for longer than allowed"},
	ReasonTimeInvalid:         {KindInvalidToken, "A time claim of the token is not a number of seconds"},
	ReasonAudienceMissing:     {KindInvalidToken, "The token names no audience"},
	ReasonAudienceMismatch:    {KindInvalidToken, "The token is meant for another audience"},
	ReasonSubjectMismatch:     {KindInvalidToken, "The token's subject is not accepted"},
	ReasonTokenBound:          {KindInvalidToken, "The token is bound to a key, of which there is no proof"},
	ReasonRevoked:             {KindInvalidToken, "The token has been revoked"},
	ReasonKeysUnknown:         {KindUnavailable, "The API keys are not known yet"},
	ReasonCredentialSuspended: {KindForbidden, "The credential that signed the token is suspended"},
	ReasonCredentialExpired:   {KindInvalidToken, "The credential that signed the token has expired"},
	ReasonAPIKeyMissing:       {KindUnauthenticated, "An API key is required"},
	ReasonAPIKeyUnknown:       {KindInvalidToken, "The API key is unknown"},
	ReasonAPIKeySuspended:     {KindForbidden, "The API key is suspended"},
	ReasonAPIKeyExpired:       {KindInvalidToken, "The API key has expired"},
	ReasonAPIKeyElsewhere:     {KindForbidden, "The API key is for other APIs"},
	ReasonRevocationsUnknown:  {KindUnavailable, "The list of revoked tokens is not known yet"},
	ReasonClaimMissing:        {KindInvalidToken, "The token lacks a required claim"},
	ReasonClaimInvalid:        {KindInvalidToken, "A claim of the token has the wrong type"},
	ReasonScope:               {KindInsufficientScope, "The token's scope does not cover the request"},
	ReasonClaims:              {KindForbidden, "The token's claims do not allow the request"},
	ReasonForwardClaim:        {KindForbidden, "A claim of the token cannot be forwarded as a header"},

	ReasonIdentityMissing:     {KindForbidden, "The token does not say who is calling"},
	ReasonPolicyMissing:       {KindForbidden, "No policy applies to the token"},
	ReasonPolicyUnknown:       {KindForbidden, "The token names no policy that there is"},
	ReasonPolicyInactive:      {KindForbidden, "A policy of the token is inactive"},
	ReasonPolicyConflict:      {KindForbidden, "The policies of the token cannot apply together"},
	ReasonAPINotGranted:       {KindForbidden, "The token's policies do not grant the API"},
	ReasonOperationNotGranted: {KindForbidden, "The API is granted, but not for this request"},
	ReasonGroupMissing:        {KindForbidden, "The user is in no group that may call the API"},
	ReasonApplicationUnknown:  {KindForbidden, "The token names no known application"},
	ReasonSubscriptionMissing: {KindForbidden, "The application has no subscription to the API"},
	ReasonGrantExpired:        {KindForbidden, "What the token's policies granted has ended"},

	ReasonRateLimited:      {KindTooManyRequests, "There were too many requests in a short time"},
	ReasonQuotaExhausted:   {KindTooManyRequests, "The quota of requests is used up"},
	ReasonStoreUnavailable: {KindUnavailable, "The store that counts requests cannot be asked"},

	ReasonNoServer:         {KindUnavailable, "No server of the upstream is available"},
	ReasonConnect:          {KindBadGateway, "The upstream cannot be reached"},
	ReasonUpstreamProtocol: {KindBadGateway, "The upstream sent an invalid response"},
	ReasonUpstreamTimeout:  {KindGatewayTimeout, "The upstream did not answer in time"},
	ReasonUpstreamAborted:  {KindBadGateway, "The upstream broke off its response"},
	ReasonDeadline:         {KindGatewayTimeout, "The request took longer than allowed"},
}

// Kind is the class that the reason belongs to; an unknown reason is KindInternal.
func (r Reason) Kind() Kind { return reasonTable[r].kind }

// Text says in one sentence, without values, what the check found. It is fit for clients and for error_description (RFC 6750 section 3).
func (r Reason) Text() string { return reasonTable[r].text }

// Reasons returns every reason, sorted.
func Reasons() []Reason {
	all := make([]Reason, 0, len(reasonTable))
	for r := range reasonTable {
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}
