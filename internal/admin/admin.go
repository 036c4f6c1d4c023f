// Package admin is the operators' door: metrics, health, readiness and status over plain HTTP. It shows no secrets, but keep it away from clients all the same.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// Options are what the door shows. All fields must be set.
type Options struct {
	Log     *slog.Logger
	Metrics http.Handler
	Ready   func() error // nil: ready; otherwise why not
	Status  func() any   // encoded as JSON
	Manage  http.Handler // the management API, below /v1/
}

// Server is the operators' door. It is safe for concurrent use.
type Server struct {
	handler http.Handler
	log     *slog.Logger

	mu       sync.Mutex
	address  string // as configured
	listener net.Listener
	server   *http.Server
	done     chan struct{}
}

// New returns a closed door.
func New(o Options) *Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		text(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(o.Status()); err != nil {
			o.Log.Debug("status not sent", slog.Any("error", err))
		}
	})
	return &Server{log: o.Log, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") { // not by the mux, which would tidy up paths and send clients to what they did not mean
			o.Manage.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})}
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, body)
}

// Check reports what is wrong with the configuration of the door.
func Check(c *gate.Admin) gate.Problems {
	if c.Address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return gate.Problems{c.Origin.Problem("address", "for example 127.0.0.1:8081", "not host:port: %q", c.Address)}
	}
	return nil
}

// Plan is a door that is ready to open; exactly one of Commit and Discard must be called.
type Plan struct {
	server   *Server
	address  string
	listener net.Listener // nil if nothing changes or the door is to be closed
	same     bool
}

// Prepare opens the address of c without serving on it yet.
func (s *Server) Prepare(c *gate.Admin) (*Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Plan{server: s, address: c.Address, same: c.Address == s.address}
	if p.same || c.Address == "" {
		return p, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("opening the admin address: %w", err)
	}
	p.listener = listener
	return p, nil
}

// Discard gives the plan up.
func (p *Plan) Discard() {
	if p.listener != nil {
		_ = p.listener.Close() // nothing was accepted
	}
}

// writeTimeout bounds an answer, with the time that a change of the configuration takes before it.
const writeTimeout = 2 * time.Minute

// Commit opens the new door and closes the old one.
func (p *Plan) Commit() {
	if p.same {
		return
	}
	s := p.server
	s.mu.Lock()
	old, oldDone := s.server, s.done
	s.address, s.listener, s.server, s.done = p.address, p.listener, nil, nil
	if p.listener != nil {
		s.server = &http.Server{
			Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: writeTimeout, IdleTimeout: time.Minute,
			MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}
		s.done = make(chan struct{})
		go func(server *http.Server, done chan struct{}) {
			defer close(done)
			if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("admin server ended", slog.Any("error", err))
			}
		}(s.server, s.done)
	}
	s.mu.Unlock()
	stop(old, oldDone)
}

// Addr is the address that is served, nil if the door is closed.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Close closes the door.
func (s *Server) Close() {
	s.mu.Lock()
	old, done := s.server, s.done
	s.address, s.listener, s.server, s.done = "", nil, nil, nil
	s.mu.Unlock()
	stop(old, done)
}

func stop(server *http.Server, done chan struct{}) {
	if server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close() // a scrape that takes too long is cut off
	}
	<-done
}
