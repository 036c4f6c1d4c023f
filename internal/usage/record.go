// Package usage records who used what: one record for each request, summed up by the minute in the store and written as they are to sinks. A request never waits for its record; what
// cannot be taken in time is dropped and counted.
package usage

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jotgate/jotgate/internal/gate"
)

// Record is what is kept of a finished request. It holds no token, path, query or address.
type Record struct {
	// Time is when the request's header had arrived.
	Time time.Time `json:"time"`
	Caller
	// Method is one of the methods of RFC 9110 and PATCH, or OTHER.
	Method string `json:"method"`
	// Status is that of the answer, 0 if there was none; Reason is why the gateway refused, "" if it did not.
	Status int    `json:"status"`
	Reason string `json:"reason,omitempty"`
	// Duration is from the request's header to the end of the answer.
	Duration time.Duration `json:"duration_ns"`
	// Received and Sent are the bytes of the bodies.
	Received int64 `json:"received"`
	Sent     int64 `json:"sent"`
	// Email and TokenName are labels that the provider's identity settings find in the token.
	Email     string `json:"email,omitempty"`
	TokenName string `json:"token_name,omitempty"`
}

// Caller is what records are summed up by.
type Caller struct {
	// API is the API's name, "" if no API matched.
	API string `json:"api,omitempty"`
	// Issuer and User say who called; both are "" for a request whose token was refused or that needed none.
	Issuer string `json:"issuer,omitempty"`
	User   string `json:"user,omitempty"`
	// Application and ClientID are those of the token, Credential is the ID of the API key.
	Application string `json:"application,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	Credential  string `json:"credential,omitempty"`
	// Policies are the names of the policies that applied, joined by commas.
	Policies string `json:"policies,omitempty"`
	// Subscription and Plan are names.
	Subscription string `json:"subscription,omitempty"`
	Plan         string `json:"plan,omitempty"`
}

// recordOf makes the record of x, which took d. All of its texts outlive x.
func recordOf(x *gate.Exchange, d time.Duration) Record {
	r := Record{
		Time: x.Start, Caller: Caller{API: x.API}, Method: methodOf(x.Method), Status: x.Status,
		Duration: d, Received: x.Received, Sent: x.Sent,
	}
	if x.Denial != nil {
		r.Reason = string(x.Denial.Reason)
	}
	id := x.Identity
	if id == nil {
		return r
	}
	r.Issuer, r.User, r.Application, r.ClientID, r.Credential = short(id.Issuer), short(id.User), short(id.Application), short(id.ClientID), short(id.Credential)
	r.Email, r.TokenName = short(id.Email), short(id.TokenName)
	if s := x.Session; s != nil {
		r.Subscription, r.Plan = s.Subscription, s.Plan
		if len(s.Policies) == 1 {
			r.Policies = s.Policies[0]
		} else {
			r.Policies = strings.Join(s.Policies, ",")
		}
	}
	return r
}

// maxText is how much of a claim is kept, in bytes.
const maxText = 256

// short cuts a text that is longer than what is kept.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// methodOf is a method as a text that outlives the request; others than the usual ones are all the same, for they are clients' to choose.
func methodOf(method string) string {
	for _, known := range [...]string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
		if method == known {
			return known
		}
	}
	return "OTHER"
}

// appendLine appends the record as a line of JSON.
func (r *Record) appendLine(b []byte) []byte {
	text, err := json.Marshal(r)
	if err != nil { // a Record has nothing that JSON cannot hold
		return b
	}
	return append(append(b, text...), '\n')
}
