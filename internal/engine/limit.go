package engine

import (
	"io"

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
