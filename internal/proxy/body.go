package proxy

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

var errDetached = errors.New("the exchange is over")

// body is the request's body on its way to one server. It reads the client's body for as long as the try lasts and not longer, although the library reads in goroutines of its own.
type body struct {
	src      io.Reader
	closeSrc func() error
	patience *patience
	finish   func()                   // called once at the end of src, before the reader learns of it
	response atomic.Pointer[patience] // with the body of the response, once that is streamed

	mu      sync.Mutex
	idle    sync.Cond // signalled when a read ends
	n       int64     // bytes read from src
	reading bool
	closed  bool
	touched bool  // src was read from: the body cannot be sent again
	ended   bool  // src has no more
	err     error // what reading src ended with, other than io.EOF
}

func newBody(src io.Reader, closeSrc func() error, p *patience, finish func()) *body {
	b := &body{src: src, closeSrc: closeSrc, patience: p, finish: finish}
	b.idle.L = &b.mu
	return b
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

	b.patience.hold()
	n, err := b.src.Read(p)
	b.patience.wait()
	if p := b.response.Load(); p != nil && n > 0 {
		p.again() // a server that takes what the client sends is at work, and may have nothing to say yet
	}
	if err == io.EOF {
		b.finish()
	}

	b.mu.Lock()
	b.reading = false
	b.n += int64(n)
	b.ended = b.ended || err != nil
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
		return b.closeSrc()
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

// state returns whether the client's body was read from, and what reading it failed with.
func (b *body) state() (touched bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.touched, b.err
}
