package server

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/jotgate/jotgate/internal/gate"
)

const (
	// rereadEvery is how often certificate files are read in any case: not every file system tells of changes.
	rereadEvery = time.Minute
	// settleTime is how long files must have been quiet before they are read: a pair is rarely written in one go.
	settleTime = 100 * time.Millisecond
)

// CertificateStatus is the state of a pair of files, or of the file with client authorities.
type CertificateStatus struct {
	CertFile string    `json:"cert_file"`
	Names    []string  `json:"names,omitempty"`
	NotAfter time.Time `json:"not_after,omitzero"` // of what is in use
	Loaded   time.Time `json:"loaded,omitzero"`    // when what is in use was read
	Error    string    `json:"error,omitempty"`    // why the files as they are now are not in use
}

// certificates keeps a listener's TLS settings up to date with its files. Broken files keep the former.
type certificates struct {
	cfg     gate.ListenerTLS
	http2   bool
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	again   chan struct{} // asks watch to read the files

	mu    sync.Mutex // guards files
	files []*material
}

// material is what was read from one pair of files, or from the file with client authorities.
type material struct {
	digest [sha256.Size]byte
	pair   *tls.Certificate // nil for the client authorities
	pool   *x509.CertPool
	status CertificateStatus
}

// loadCertificates reads everything; all of it must be good.
func loadCertificates(cfg *gate.ListenerTLS, http2 bool, log *slog.Logger) (*certificates, error) {
	c := &certificates{cfg: *cfg, http2: http2, log: log, again: make(chan struct{}, 1)}
	c.files = make([]*material, len(cfg.Certificates)+1)
	for i := range c.files {
		m, err := c.load(i)
		if err != nil {
			return nil, err
		}
		c.files[i] = m
	}
	if len(cfg.Certificates) == 0 {
		return nil, errors.New("tls: no certificate")
	}
	settings, err := c.settings()
	if err != nil {
		return nil, err
	}
	c.current.Store(settings)
	return c, nil
}

// config is what a new connection uses.
func (c *certificates) config() *tls.Config { return c.current.Load() }

func (c *certificates) status() []CertificateStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []CertificateStatus
	for _, m := range c.files {
		if m != nil {
			all = append(all, m.status)
		}
	}
	return all
}

// load reads the i-th pair, or the client authorities after the last; nil if there are none.
func (c *certificates) load(i int) (*material, error) {
	if i == len(c.cfg.Certificates) {
		if c.cfg.ClientCAFile == "" {
			return nil, nil
		}
		return loadAuthorities(c.cfg.ClientCAFile)
	}
	return loadPair(c.cfg.Certificates[i])
}

func loadPair(files gate.Certificate) (*material, error) {
	cert, err := os.ReadFile(files.CertFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := os.ReadFile(files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", files.CertFile, files.KeyFile, err)
	}
	names := pair.Leaf.DNSNames
	for _, ip := range pair.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return &material{
		digest: sha256.Sum256(append(append(cert, 0), key...)), pair: &pair,
		status: CertificateStatus{CertFile: files.CertFile, Names: names, NotAfter: pair.Leaf.NotAfter, Loaded: time.Now()},
	}, nil
}

func loadAuthorities(file string) (*material, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read client certificate authorities: %w", err)
	}
	m := &material{digest: sha256.Sum256(text), pool: x509.NewCertPool(), status: CertificateStatus{CertFile: file, Loaded: time.Now()}}
	if !m.pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("client certificate authorities %s: no certificate in it", file)
	}
	return m, nil
}

// settings makes the TLS configuration of what is loaded. crypto/tls itself picks the certificate by name and falls back to the first.
func (c *certificates) settings() (*tls.Config, error) {
	version, err := minVersion(c.cfg.MinVersion)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: version, NextProtos: []string{"http/1.1"}}
	if c.http2 {
		t.NextProtos = []string{"h2", "http/1.1"}
	}
	for _, m := range c.files {
		switch {
		case m == nil:
		case m.pair != nil:
			t.Certificates = append(t.Certificates, *m.pair)
		default:
			t.ClientCAs, t.ClientAuth = m.pool, tls.RequireAndVerifyClientCert
		}
	}
	return t, nil
}

func minVersion(v string) (uint16, error) {
	switch v {
	case "1.2", "":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("minVersion %q is not 1.2 or 1.3", v)
}

// refresh asks watch to read the files now.
func (c *certificates) refresh() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// reload takes over the files that changed and are good.
func (c *certificates) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := false
	for i, was := range c.files {
		if was == nil {
			continue
		}
		now, err := c.load(i)
		switch {
		case err != nil:
			if text := err.Error(); was.status.Error != text {
				was.status.Error = text
				c.log.Error("certificate files are broken, the former certificate stays in use", "error", err, "not_after", was.status.NotAfter)
			}
		case now.digest == was.digest:
			was.status.Error = ""
		default:
			c.files[i], changed = now, true
			c.log.Info("certificate taken over", "file", now.status.CertFile, "not_after", now.status.NotAfter)
		}
	}
	if changed {
		if settings, err := c.settings(); err == nil {
			c.current.Store(settings)
		}
	}
}

// watch reads the files again when their folders change, when asked, and now and then, until stop is closed.
func (c *certificates) watch(stop <-chan struct{}) {
	var events chan fsnotify.Event
	var lost chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { _ = watcher.Close() }()
		events, lost = watcher.Events, watcher.Errors
		for _, dir := range c.folders() {
			if e := watcher.Add(dir); e != nil {
				err = e
			}
		}
	}
	if err != nil {
		c.log.Warn("cannot watch certificate files; they are read regularly instead", "error", err, "every", rereadEvery)
	}
	c.follow(stop, events, lost)
}

// follow reads the files again after events, and after errors, which mean that events were lost. Errors must be taken: the watcher waits for it.
func (c *certificates) follow(stop <-chan struct{}, events <-chan fsnotify.Event, lost <-chan error) {
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	quiet := time.NewTimer(settleTime) // they may have changed since they were loaded
	defer quiet.Stop()
	for {
		select {
		case <-stop:
			return
		case <-events:
			quiet.Reset(settleTime)
		case err := <-lost:
			c.log.Warn("events about certificate files were lost, the files are read again", "error", err)
			quiet.Reset(settleTime)
		case <-quiet.C:
			c.reload()
		case <-c.again:
			c.reload()
		case <-ticker.C:
			c.reload()
		}
	}
}

func (c *certificates) folders() []string {
	files := []string{c.cfg.ClientCAFile}
	for _, p := range c.cfg.Certificates {
		files = append(files, p.CertFile, p.KeyFile)
	}
	seen := make(map[string]bool)
	var dirs []string
	for _, f := range files {
		if dir := filepath.Dir(f); f != "" && !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
