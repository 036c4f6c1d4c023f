// Package demo runs the gateway as a newcomer would want to see it first: between an identity provider and an API, all on the loopback address, with a
// configuration file to copy and commands to paste.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/demo/idp"
	"github.com/jotgate/jotgate/internal/demo/tickets"
)

// template is the configuration file, with the default addresses.
//
//go:embed demo.yaml
var template string

// The default ports, which are also those in the template.
const (
	GatewayPort  = 8080
	AdminPort    = 8081
	ProviderPort = 9100
	UpstreamPort = 9000
)

const (
	readyInterval = 20 * time.Millisecond // between two questions whether the gateway is ready
	stopTimeout   = 5 * time.Second       // for the identity provider and the API to stop
)

// Port is where a part of the demonstration listens, on the loopback address.
type Port struct {
	// Number is the port; 0 is any free one.
	Number int
	// Fallback takes any free port if Number is in use.
	Fallback bool
}

// Options are what a demonstration needs. All fields but Keep must be set.
type Options struct {
	Gateway, Admin, Provider, Upstream Port
	// Program is the command that runs jotgate, for the commands to paste.
	Program string
	// Version is the program's version.
	Version string
	// Keep leaves the folder with the configuration file behind.
	Keep bool
	// Access gets the access lines, Log the log.
	Access, Log io.Writer
}

// Demo is a running demonstration.
type Demo struct {
	places  Places
	folder  string
	keep    bool
	servers []*http.Server
	stop    context.CancelFunc // stops the gateway; nil if it was never started
	gateway chan struct{}      // closed when the gateway has stopped
	failed  chan error         // has a value if one of the parts has failed
}

// Run starts a demonstration, prints its guide to out, and stops everything when ctx is over.
func Run(ctx context.Context, out io.Writer, o Options) error {
	d, err := Start(ctx, o)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil // stopped while it was starting
		}
		return err
	}
	_, err = io.WriteString(out, d.places.Guide())
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-d.failed:
		}
	}
	return errors.Join(err, d.Close())
}

// Start starts a demonstration. The caller closes it.
func Start(ctx context.Context, o Options) (*Demo, error) {
	d := &Demo{keep: o.Keep, gateway: make(chan struct{}), failed: make(chan error, 3)}
	if err := d.start(ctx, o); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Places are the addresses and paths of the parts.
func (d *Demo) Places() Places { return d.places }

func (d *Demo) start(ctx context.Context, o Options) error {
	d.places.Program = o.Program
	upstream, err := listen(ctx, "tickets API", o.Upstream)
	if err != nil {
		return err
	}
	d.places.Upstream = upstream.Addr().String()
	d.serve(upstream, tickets.New("X-User", "X-Group"))

	door, err := listen(ctx, "identity provider", o.Provider)
	if err != nil {
		return err
	}
	d.places.Provider = door.Addr().String()
	provider, err := idp.New("http://"+d.places.Provider, "tickets", time.Now)
	if err != nil {
		return errors.Join(err, door.Close())
	}
	d.serve(door, provider)

	if err := d.reserve(ctx, o); err != nil {
		return err
	}
	if err := d.configure(); err != nil {
		return err
	}
	return d.startGateway(ctx, o)
}

// startGateway runs the gateway as the serve command does, and waits until it is ready.
func (d *Demo) startGateway(ctx context.Context, o Options) error {
	gateway := app.New(app.Options{Load: app.File(d.places.Config), Log: o.Log, Access: o.Access, Version: o.Version})
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	go func() {
		defer close(d.gateway)
		if err := gateway.Run(running, nil, true); err != nil {
			d.failed <- fmt.Errorf("running the gateway: %w", err)
		}
	}()
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for !d.ready(ctx) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-d.failed:
			return err
		case <-ticker.C:
		}
	}
	return nil
}

// ready asks the gateway whether it is.
func (d *Demo) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.places.Admin+"/readyz", nil)
	if err != nil {
		return false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// serve answers requests until the demonstration is closed.
func (d *Demo) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	d.servers = append(d.servers, server)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- err
		}
	}()
}

// reserve finds the gateway's own two ports. They are free when it looks; the gateway itself opens them.
func (d *Demo) reserve(ctx context.Context, o Options) error {
	gateway, err := listen(ctx, "gateway", o.Gateway)
	if err != nil {
		return err
	}
	door, err := listen(ctx, "admin", o.Admin)
	if err != nil {
		return errors.Join(err, gateway.Close())
	}
	d.places.Gateway, d.places.Admin = gateway.Addr().String(), door.Addr().String()
	return errors.Join(gateway.Close(), door.Close())
}

// configure writes the configuration file.
func (d *Demo) configure() (err error) {
	if d.folder, err = os.MkdirTemp("", "jotgate-demo-"); err != nil {
		return fmt.Errorf("making a folder for the configuration: %w", err)
	}
	d.places.Config = filepath.Join(d.folder, "demo.yaml")
	text := strings.NewReplacer(
		local(GatewayPort), d.places.Gateway,
		local(AdminPort), d.places.Admin,
		local(ProviderPort), d.places.Provider,
		local(UpstreamPort), d.places.Upstream,
	).Replace(template)
	if err := os.WriteFile(d.places.Config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// Close stops everything, the gateway first, so that no request loses its upstream, and removes the configuration unless it is to be kept.
func (d *Demo) Close() error {
	if d.stop != nil {
		d.stop()
		<-d.gateway
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, server := range d.servers {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping a server: %w", err), server.Close())
		}
	}
	if d.folder != "" && !d.keep {
		errs = append(errs, os.RemoveAll(d.folder))
	}
	return errors.Join(errs...)
}

// listen opens a port for a part of the demonstration.
func listen(ctx context.Context, part string, port Port) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", local(port.Number))
	if errors.Is(err, syscall.EADDRINUSE) && port.Fallback {
		listener, err = config.Listen(ctx, "tcp", local(0))
	}
	if err != nil {
		return nil, fmt.Errorf("opening the port of the %s: %w", part, err)
	}
	return listener, nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
