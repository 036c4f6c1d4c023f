package gate

import (
	"time"
	"unsafe"

	"github.com/jotgate/jotgate/internal/limit"
)

// Session is what an identity may do at one API, and how much: the policies, access rules and subscriptions that apply, merged. It is made once for a token and
// an API and remembered with the verdict; it is read-only.
type Session struct {
	// Policies are the names of the policies that apply, sorted.
	Policies []string
	// Application, Subscription and Plan are names, "" where there is none.
	Application, Subscription, Plan string
	// Expires is the end of what one of the policies grants, and so of the session; zero if nothing ends before the token.
	Expires time.Time
	// Next is the session from Expires on, without the policies that have ended; nil if they were all.
	Next *Session
	// Tags and Metadata are those of the policies together.
	Tags     []string
	Metadata map[string]string
	// Grant says which requests may be made; nil: all.
	Grant Grant
	// Limits are what every request takes from.
	Limits []limit.Use
}

// Grant is a compiled set of requests that may be made. Implementations are read-only and do not allocate.
type Grant interface {
	// Allows reports whether a request may be made: by a method, a canonical path and the API's version ("" if it has none). It appends to uses what the request takes from beside the session's
	// limits, and returns them; they mean something only if ok. dry says that it is allowed only because the rule that would refuse it is in dry-run.
	Allows(method, path, version string, uses []limit.Use) (_ []limit.Use, ok, dry bool)
	// By says which rules let the request through, or which do not, for explanations.
	By(method, path, version string) string
	// Describe says what is allowed, for explanations.
	Describe() string
	// Size is about how many bytes of memory it holds on to, beside what all sessions share.
	Size() int
}

// Size is about how many bytes of memory s, which may be nil, and the sessions that follow it hold on to, beside what all sessions share.
func (s *Session) Size() int {
	n := 0
	for ; s != nil; s = s.Next {
		const text = 16
		n += int(unsafe.Sizeof(*s)) + cap(s.Limits)*int(unsafe.Sizeof(limit.Use{})) + (len(s.Policies)+len(s.Tags))*text + len(s.Metadata)*6*text
		if s.Grant != nil {
			n += s.Grant.Size()
		}
	}
	return n
}

// At returns the session that holds at the moment now: s, or one that follows it; nil if everything that was granted has ended. It does not allocate.
func (s *Session) At(now time.Time) *Session {
	for s != nil && !s.Expires.IsZero() && !now.Before(s.Expires) {
		s = s.Next
	}
	return s
}
