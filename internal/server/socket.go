package server

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// backlogDrain is how long a socket that is to be closed still accepts: connections that the system has completed already are served, not reset.
const backlogDrain = 20 * time.Millisecond

// socket is a bound address. It stays open over reloads and hands each connection to the generation of settings that is current.
type socket struct {
	set      *Set
	listener *net.TCPListener
	current  atomic.Pointer[generation]
	stopped  atomic.Bool
}

func newSocket(s *Set, ln *net.TCPListener) *socket { return &socket{set: s, listener: ln} }

// start begins to accept.
func (s *socket) start(g *generation) {
	s.current.Store(g)
	s.set.tasks.Go(s.accept)
}

// stop ends accepting, once the connections that wait already are taken, and then lets the current generation drain: clients that are told to leave
// connect anew at once, and must find the address closed, not closing. A connection that the system completes in the instant between the last accept and the
// close is still reset; only a load balancer that was told before (Shutdown.Delay) avoids that.
func (s *socket) stop() {
	if !s.stopped.Swap(true) {
		_ = s.listener.SetDeadline(time.Now().Add(backlogDrain))
	}
}

func (s *socket) accept() {
	defer func() {
		_ = s.listener.Close()
		s.set.mu.Lock()
		defer s.set.mu.Unlock()
		s.current.Load().retire(lingerOnStop)
	}()
	var pause time.Duration
	for {
		raw, err := s.listener.AcceptTCP()
		switch {
		case err == nil:
			pause = 0
			s.current.Load().admit(raw)
		case errors.Is(err, net.ErrClosed), s.stopped.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			// Out of file descriptors, for example: go on when some are free again.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.set.log.Warn("cannot accept connections", "listener", s.current.Load().cfg.Name, "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-s.set.ctx.Done():
				return
			}
		}
	}
}
