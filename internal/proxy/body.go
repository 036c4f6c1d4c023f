package proxy

import (
	"errors"
	"io"
	"sync"
)

var errDetached = errors.New("the exchange is over")

// sender is whose body it is.
type sender interface {
	hold()      // the client is waited for
	wait(n int) // the server is waited for again, which gets n bytes
	ended()     // the client's body has ended; called once, before the reader learns of it
	// closeSource breaks reading the client's body off.
	closeSource() error
}

// body is the request's body on its way to one server. It reads the client's body for as long as the try lasts and not longer, although the library reads in goroutines of its own.
type body struct {
	src    io.Reader
	sender sender

	mu      sync.Mutex
	idle    sync.Cond // signalled when a read ends
	n       int64     // bytes read from src
	reading bool
	closed  bool
	touched bool  // src was read from: the body cannot be sent again
	end     bool  // src has no more
	err     error // what reading src ended with, other than io.EOF
}

func (b *body) begin(src io.Reader, s sender) {
	b.src, b.sender = src, s
	b.idle.L = &b.mu
	b.n, b.reading, b.closed, b.touched, b.end, b.err = 0, false, false, false, false, nil
}

// Read is io.Reader's. While the client is waited for, the server is not to blame.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, errDetached
	}
	b.reading, b.touched = true, true
	b.mu.Unlock()

	b.sender.hold()
	n, err := b.src.Read(p)
	b.sender.wait(n)
	if err == io.EOF {
		b.sender.ended()
	}

	b.mu.Lock()
	b.reading = false
	b.n += int64(n)
	b.end = b.end || err != nil
	if err != nil && err != io.EOF && !b.closed {
		b.err = err
	}
	b.idle.Broadcast()
	b.mu.Unlock()
	return n, err
}

// Close ends a read under way by closing the client's body; without one it leaves the client's body alone, so that the next try can read it. No read starts any more.
func (b *body) Close() error {
	b.mu.Lock()
	reading := b.reading && !b.closed
	b.closed = true
	b.mu.Unlock()
	if reading {
		return b.sender.closeSource()
	}
	return nil
}

// detach is Close that also waits for the end of a read under way. It returns how many bytes were read.
func (b *body) detach() int64 {
	_ = b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.reading {
		b.idle.Wait()
	}
	return b.n
}

// fail notes what is wrong with the client's body besides the errors of reading it.
func (b *body) fail(err error) {
	b.mu.Lock()
	b.err = err
	b.mu.Unlock()
}

// state returns whether the client's body was read from, and what reading it failed with.
func (b *body) state() (touched bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.touched, b.err
}
