package server

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/jotgate/jotgate/internal/gate"
)

// The watcher hands errors over one by one and waits for that: if they were not taken, no event would come any more.
func TestLostEventsDoNotEndTheWatching(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	pair := a.write(t, dir, "one", 1, "api.example.com")
	c, err := loadCertificates(&gate.ListenerTLS{Certificates: []gate.Certificate{pair}}, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	events, lost, stop, stopped := make(chan fsnotify.Event), make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		c.follow(stop, events, lost)
	}()
	defer func() { close(stop); <-stopped }()
	before := c.config()
	a.write(t, dir, "one", 2, "api.example.com")
	select {
	case lost <- errors.New("queue overflow"):
	case <-time.After(10 * time.Second):
		t.Fatal("the error is not taken")
	}
	eventually(t, "the new certificate is used", func() bool { return c.config() != before })
	select {
	case events <- fsnotify.Event{}:
	case <-time.After(10 * time.Second):
		t.Fatal("no event is taken after the error")
	}
}
