package gate

import (
	"errors"
	"time"
)

// Kind is a class of refusals that clients see alike. The list is closed and only appended to.
type Kind uint8

// The kinds.
const (
	KindInternal           Kind = iota // 500
	KindBadRequest                     // 400
	KindUnauthenticated                // 401 without an error code: no credentials were sent
	KindInvalidToken                   // 401 invalid_token
	KindInsufficientScope              // 403 insufficient_scope
	KindForbidden                      // 403
	KindNotFound                       // 404
	KindTooLarge                       // 413
	KindHeaderTooLarge                 // 431
	KindUnavailable                    // 503
	KindBadGateway                     // 502
	KindGatewayTimeout                 // 504
	KindRequestTimeout                 // 408
	KindClientGone                     // 499: nobody is there to read the answer
	KindMisdirected                    // 421
	KindVersionUnsupported             // 505
	KindInvalidCredentials             // 400 invalid_request, with a challenge
	KindNotImplemented                 // 501
	KindTooManyRequests                // 429
	kinds
)

// kindTable is the one place where a kind gets its status, its RFC 6750 error code and its phrase.
var kindTable = [kinds]struct {
	status int
	oauth  string
	title  string
}{
	KindInternal:           {500, "", "Internal Server Error"},
	KindBadRequest:         {400, "", "Bad Request"},
	KindUnauthenticated:    {401, "", "Unauthorized"},
	KindInvalidToken:       {401, "invalid_token", "Unauthorized"},
	KindInsufficientScope:  {403, "insufficient_scope", "Forbidden"},
	KindForbidden:          {403, "", "Forbidden"},
	KindNotFound:           {404, "", "Not Found"},
	KindTooLarge:           {413, "", "Content Too Large"},
	KindHeaderTooLarge:     {431, "", "Request Header Fields Too Large"},
	KindUnavailable:        {503, "", "Service Unavailable"},
	KindBadGateway:         {502, "", "Bad Gateway"},
	KindGatewayTimeout:     {504, "", "Gateway Timeout"},
	KindRequestTimeout:     {408, "", "Request Timeout"},
	KindClientGone:         {499, "", "Client Closed Request"},
	KindMisdirected:        {421, "", "Misdirected Request"},
	KindVersionUnsupported: {505, "", "HTTP Version Not Supported"},
	KindInvalidCredentials: {400, "invalid_request", "Bad Request"},
	KindNotImplemented:     {501, "", "Not Implemented"},
	KindTooManyRequests:    {429, "", "Too Many Requests"},
}

// Status is the HTTP status of the answer.
func (k Kind) Status() int { return kindTable[k].status }

// OAuthError is the error code of the challenge (RFC 6750 section 3.1), or "" if the challenge has none.
func (k Kind) OAuthError() string { return kindTable[k].oauth }

// Title is the phrase of the status (RFC 9110 section 15), which is the title of a problem document of type about:blank (RFC 9457 section 4.2.1).
func (k Kind) Title() string { return kindTable[k].title }

// Challenge reports whether the answer carries WWW-Authenticate (RFC 6750 section 3).
func (k Kind) Challenge() bool {
	return k == KindUnauthenticated || k == KindInvalidToken || k == KindInsufficientScope || k == KindInvalidCredentials
}

// Denial is the only error that becomes a refusal that clients see. An error that is not a Denial is answered 500 with a general text.
type Denial struct {
	// Reason is the check that refused. It decides kind, status and texts.
	Reason Reason
	// Expected and Got are near-miss data for explanations. Got never holds a claim's value, except for iss, aud, kid, alg, typ
	// and times; the rest of the token stays hidden.
	Expected, Got string
	// Scope is the scope that was needed, for the challenge of KindInsufficientScope.
	Scope string
	// RetryAfter, if positive, is sent as Retry-After.
	RetryAfter time.Duration
	// Err is the cause, for logs; it never reaches clients.
	Err error
}

// Deny makes a refusal.
func Deny(reason Reason, err error) *Denial { return &Denial{Reason: reason, Err: err} }

// Error is the reason code and the cause.
func (d *Denial) Error() string {
	if d.Err != nil {
		return string(d.Reason) + ": " + d.Err.Error()
	}
	return string(d.Reason)
}

// Unwrap returns the cause.
func (d *Denial) Unwrap() error { return d.Err }

// Kind is the class of the refusal.
func (d *Denial) Kind() Kind { return d.Reason.Kind() }

// AsDenial returns the refusal in err, or one of ReasonInternal that wraps it.
func AsDenial(err error) *Denial {
	var d *Denial
	if errors.As(err, &d) {
		return d
	}
	return &Denial{Reason: ReasonInternal, Err: err}
}
