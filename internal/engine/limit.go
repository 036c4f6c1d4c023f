package engine

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// limitBody holds the body of x to the API's limit.
func (r *route) limitBody(x *gate.Exchange) error {
	if r.maxBody <= 0 {
		return nil
	}
	if x.Length > r.maxBody {
		return gate.Deny(gate.ReasonBodyLarge, nil)
	}
	if x.Length < 0 {
		x.Body = &limitedBody{ReadCloser: x.Body, left: r.maxBody}
	}
	return nil
}

// limitedBody ends a body of unknown length with gate.ErrBodyTooLarge once it is longer than allowed.
type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed, to tell a body that is just as long from one that is longer
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return 0, gate.ErrBodyTooLarge
	}
	b.left -= int64(n)
	return n, err
}

// limitTime ends x's context after d, unless the connection speaks another protocol by then.
func limitTime(x *gate.Exchange, d time.Duration) (stop func()) {
	ctx, cancel := context.WithCancelCause(x.Context)
	timer := time.AfterFunc(d, func() { cancel(errTimeLimit) })
	x.Context = ctx
	x.Observe(stopOnUpgrade{timer})
	return func() {
		timer.Stop()
		cancel(errServed)
	}
}

// Why the context of an exchange with a time limit has ended.
var (
	errServed    = errors.New("the exchange is over")
	errTimeLimit = errors.New("the exchange took longer than allowed")
)

type stopOnUpgrade struct{ timer *time.Timer }

// Respond stops the timer of a connection that changes its protocol.
func (s stopOnUpgrade) Respond(x *gate.Exchange) {
	if x.Status == 101 {
		s.timer.Stop()
	}
}
