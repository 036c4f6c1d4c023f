package server

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// Plan is a prepared change of the listeners: Commit puts it into effect, Discard drops it. Exactly one of them must be called, once.
type Plan struct {
	set   *Set
	parts []part
}

// part is what becomes of one configured listener. generation is nil if the listener stays as it is.
type part struct {
	key        string
	socket     *socket
	generation *generation
	bound      bool // socket is new
}

// Prepare does everything about cfg that can fail and has no effect on traffic: it binds new addresses and loads certificates. Addresses are
// compared as written. The error says which listener and what.
func (s *Set) Prepare(cfg []gate.Listener) (*Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Plan{set: s}
	if s.stopping {
		return nil, errors.New("prepare listeners: the server is stopping")
	}
	seen := make(map[string]string, len(cfg))
	for i := range cfg {
		key := socketKey(&cfg[i])
		if other, dup := seen[key]; dup {
			p.release()
			return nil, fmt.Errorf("listeners %q and %q have the same address %s", other, cfg[i].Name, cfg[i].Address)
		}
		seen[key] = cfg[i].Name
		part, err := s.prepare(key, cfg[i])
		if err != nil {
			p.release()
			return nil, fmt.Errorf("listener %q: %w", cfg[i].Name, err)
		}
		p.parts = append(p.parts, part)
	}
	return p, nil
}

// prepare makes the part of one listener. s.mu is held.
func (s *Set) prepare(key string, cfg gate.Listener) (part, error) {
	sock := s.sockets[key]
	if sock != nil && sameSettings(&sock.current.Load().cfg, &cfg) {
		return part{key: key, socket: sock}, nil
	}
	p := part{key: key, socket: sock}
	var certs *certificates
	if cfg.TLS != nil {
		var err error
		if certs, err = loadCertificates(cfg.TLS, cfg.HTTP2, s.log.With("listener", cfg.Name)); err != nil {
			return part{}, err
		}
	}
	if sock == nil {
		ln, err := new(net.ListenConfig).Listen(s.ctx, "tcp", cfg.Address)
		if err != nil {
			return part{}, fmt.Errorf("listen: %w", err)
		}
		p.socket, p.bound = newSocket(s, ln.(*net.TCPListener)), true
	}
	p.generation = newGeneration(s, p.socket, cfg, certs)
	return p, nil
}

// Commit puts the plan into effect; it cannot fail. New listeners accept; those with changed settings use them for new connections, while their
// old connections finish under the old settings; removed ones stop accepting and drain. No connection and no waiting connection attempt is dropped.
// Certificates of listeners that stay are read again.
func (p *Plan) Commit() {
	s := p.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		p.release()
		return
	}
	kept := make(map[string]bool, len(p.parts))
	for _, part := range p.parts {
		kept[part.key] = true
		g := part.generation
		if g == nil {
			part.socket.current.Load().refresh()
			continue
		}
		s.generations[g] = struct{}{}
		g.start()
		if part.bound {
			s.sockets[part.key] = part.socket
			part.socket.start(g)
		} else if old := part.socket.current.Swap(g); old != nil {
			old.retire(old.idleLinger())
		}
	}
	for key, sock := range s.sockets {
		if !kept[key] {
			delete(s.sockets, key)
			sock.stop()
		}
	}
}

// Discard drops the plan: what it bound is closed.
func (p *Plan) Discard() { p.release() }

func (p *Plan) release() {
	for _, part := range p.parts {
		if part.bound {
			_ = part.socket.listener.Close()
		}
	}
}

// socketKey identifies a listener's socket over reloads: the address as written, and the name where the system chooses the port.
func socketKey(l *gate.Listener) string {
	if strings.HasSuffix(l.Address, ":0") {
		return l.Name + "\x00" + l.Address
	}
	return l.Address
}

// sameSettings reports whether a and b differ at most in where they were written.
func sameSettings(a, b *gate.Listener) bool {
	x, y := *a, *b
	x.Origin, y.Origin = gate.Origin{}, gate.Origin{}
	return reflect.DeepEqual(x, y)
}
