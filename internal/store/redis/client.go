// Package redis keeps items, and counters, in Redis (6.2 or later): one server, a Cluster, or the primary that Sentinels name. Several gateways share them.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/jotgate/jotgate/internal/store"
)

// Options say how to connect. Printing or logging them shows no password.
type Options struct {
	// Addresses are host:port of the server, of some nodes of the Cluster, or of the Sentinels.
	Addresses []string
	// PrimaryName is the name of the primary that the Sentinels at the addresses watch; empty if the addresses are no Sentinels.
	PrimaryName string
	// Cluster says that the addresses are nodes of a Redis Cluster.
	Cluster bool
	// Username and Password log in; without a name the password is the default user's. SentinelUsername and SentinelPassword are those of the Sentinels.
	Username, Password                 string
	SentinelUsername, SentinelPassword string
	// Database is the number of the database, 0 for a Cluster.
	Database int
	// Prefix starts every key. It has no braces, because they decide where a Cluster keeps a key.
	Prefix string
	// TLS connects with TLS, to the Sentinels as well; nil does not.
	TLS *tls.Config
	// DialTimeout bounds connecting and logging in; 0 means 2 s.
	DialTimeout time.Duration
	// Logger is told when the connection is lost and when it is back; nil for nobody.
	Logger *slog.Logger
}

// Format writes where the options lead, and no password, for every verb.
func (o Options) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "redis %s database %d prefix %q primary %q", strings.Join(o.Addresses, ","), o.Database, o.Prefix, o.PrimaryName)
}

// LogValue is what Format writes.
func (o Options) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(o)) }

// Check says what is wrong with the options, nil if nothing is.
func (o Options) Check() error {
	if len(o.Addresses) == 0 {
		return errors.New("connecting to Redis: there is no address")
	}
	for _, address := range o.Addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("connecting to Redis: %w", err)
		}
	}
	switch {
	case o.Cluster && o.PrimaryName != "":
		return errors.New("connecting to Redis: Sentinels do not watch a Cluster")
	case o.Cluster && o.Database != 0:
		return errors.New("connecting to Redis: a Cluster has only database 0")
	case !o.Cluster && o.PrimaryName == "" && len(o.Addresses) > 1:
		return errors.New("connecting to Redis: several addresses are those of a Cluster or of Sentinels")
	case strings.ContainsAny(o.Prefix, "{}"):
		return errors.New("connecting to Redis: the prefix must not have braces")
	}
	return nil
}

const (
	// callTimeout bounds a call whose context has no end.
	callTimeout = 5 * time.Second
	// maxCalls is how many calls may be under way; others wait for as long as their contexts let them. It is far below what the connections queue, so that queueing never blocks.
	maxCalls = 512
	// aliveAfter is how long a connection may owe an answer before it is given up and made anew.
	aliveAfter = 2 * time.Second
	bufferSize = 64 << 10
)

// Client is a connection to Redis that makes itself anew. It is safe for concurrent use. No call takes longer than its context, whatever Redis does.
type Client struct {
	options Options
	log     *slog.Logger
	conn    atomic.Pointer[rueidis.Client]
	problem atomic.Pointer[error] // why there is no conn
	healthy atomic.Bool
	dials   atomic.Uint64 // how many connections were made
	calls   chan struct{}
	closed  chan struct{}
	once    sync.Once
	owned   sync.WaitGroup
}

// Open connects, and returns when that succeeded, failed for the first time, or ctx is over. Errors are of the options only: as long as Redis cannot be reached calls fail, and connecting is tried again until Close.
func Open(ctx context.Context, o Options) (*Client, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = 2 * time.Second
	}
	c := &Client{options: o, log: o.Logger, calls: make(chan struct{}, maxCalls), closed: make(chan struct{})}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.healthy.Store(true)
	first := make(chan struct{})
	c.owned.Go(func() { c.connect(first) })
	select {
	case <-first:
	case <-ctx.Done():
	}
	return c, nil
}

// connect tries until there is a client. From then on that one reconnects.
func (c *Client) connect(first chan struct{}) {
	pause := 50 * time.Millisecond
	for {
		conn, err := rueidis.NewClient(c.clientOption())
		if err == nil {
			c.conn.Store(&conn)
			c.report(nil)
			if first != nil {
				close(first)
			}
			return
		}
		if conn != nil {
			conn.Close() // a client for one server is returned along with the error
		}
		err = c.clean(err)
		c.problem.Store(&err)
		c.report(err)
		if first != nil {
			close(first)
			first = nil
		}
		select {
		case <-c.closed:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

func (c *Client) clientOption() rueidis.ClientOption {
	o := c.options
	dialer := net.Dialer{Timeout: o.DialTimeout, KeepAlive: time.Second}
	option := rueidis.ClientOption{
		InitAddress: append([]string(nil), o.Addresses...), TLSConfig: o.TLS, Dialer: dialer,
		Username: o.Username, Password: o.Password, SelectDB: o.Database, ClientName: "jotgate", ClientSetInfo: []string{},
		ConnWriteTimeout: aliveAfter, ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize, PipelineMultiplex: 1,
		DisableCache: true, DialCtxFn: c.dial,
		// A call that was sent may have been carried out: only the caller knows whether it may be made again.
		DisableRetry: true,
		// Otherwise one call that runs out of time closes the connection of all others.
		AlwaysPipelining:  true,
		ForceSingleClient: !o.Cluster,
		ClusterOption:     rueidis.ClusterOption{ShardsRefreshInterval: 5 * time.Second},
	}
	if o.PrimaryName != "" {
		option.Sentinel = rueidis.SentinelOption{
			MasterSet: o.PrimaryName, Username: o.SentinelUsername, Password: o.SentinelPassword, TLSConfig: o.TLS, Dialer: dialer, TopologyRefreshInterval: time.Second,
		}
	}
	return option
}

// dial makes a connection and counts it: behind a new one there may be a server that has lost something.
func (c *Client) dial(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	c.dials.Add(1)
	if config == nil {
		return dialer.DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", address)
}

// Ping asks the server whether it is there: for a Cluster any of its nodes.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.do(ctx, func(ctx context.Context, conn rueidis.Client) rueidis.RedisResult {
		return conn.Do(ctx, conn.B().Ping().Build())
	})
	return err
}

// Close ends the connection. Calls that are under way fail.
func (c *Client) Close() error {
	c.once.Do(func() {
		close(c.closed)
		if conn := c.conn.Load(); conn != nil {
			(*conn).Close()
		}
	})
	c.owned.Wait()
	if conn := c.conn.Load(); conn != nil {
		(*conn).Close() // connecting ended after all
	}
	return nil
}

// script is a Lua script that a server knows by its hash.
type script struct {
	name string // for errors
	lua  *rueidis.Lua
}

func newScript(name, source string) *script {
	return &script{name: name, lua: rueidis.NewLuaScript(source)}
}

// eval runs a script over keys of one hash slot. It sends the script itself only to a server that does not know it. keys and args must not be changed afterwards, not even when eval has returned: the call may
// still be under way then.
func (c *Client) eval(ctx context.Context, s *script, keys, args []string) (rueidis.RedisMessage, error) {
	message, err := c.do(ctx, func(ctx context.Context, conn rueidis.Client) rueidis.RedisResult {
		return s.lua.Exec(ctx, conn, keys, args)
	})
	if err != nil {
		return message, fmt.Errorf("%s in Redis: %w", s.name, err)
	}
	return message, nil
}

// do makes a call, and comes back when ctx is over whether or not the call does: the connection's own ways of waiting (for somebody else's dialing, for room in a queue) know no context.
func (c *Client) do(ctx context.Context, call func(context.Context, rueidis.Client) rueidis.RedisResult) (rueidis.RedisMessage, error) {
	if err := ctx.Err(); err != nil {
		return rueidis.RedisMessage{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	select {
	case c.calls <- struct{}{}:
	case <-c.closed:
		return rueidis.RedisMessage{}, store.ErrClosed
	case <-ctx.Done():
		return rueidis.RedisMessage{}, fmt.Errorf("too many calls wait for an answer: %w", ctx.Err())
	}
	conn, err := c.current()
	if err != nil {
		<-c.calls
		return rueidis.RedisMessage{}, err
	}
	done := make(chan rueidis.RedisResult, 1)
	go func() { // owned by ctx: every wait in it ends with that, or when the connection is given up
		defer func() { <-c.calls }()
		done <- call(ctx, conn)
	}()
	select {
	case result := <-done:
		message, err := result.ToMessage()
		return message, c.outcome(ctx, err)
	case <-ctx.Done():
		return rueidis.RedisMessage{}, c.outcome(ctx, ctx.Err())
	case <-c.closed:
		return rueidis.RedisMessage{}, store.ErrClosed
	}
}

func (c *Client) current() (rueidis.Client, error) {
	select {
	case <-c.closed:
		return nil, store.ErrClosed
	default:
	}
	if conn := c.conn.Load(); conn != nil {
		return *conn, nil
	}
	if problem := c.problem.Load(); problem != nil {
		return nil, fmt.Errorf("there is no connection: %w", *problem)
	}
	return nil, errors.New("there is no connection")
}

// outcome is a call's error as callers may see and log it. A reply of nil is none.
func (c *Client) outcome(ctx context.Context, err error) error {
	if err == nil || rueidis.IsRedisNil(err) {
		c.report(nil)
		return nil
	}
	if reply, ok := rueidis.IsRedisErr(err); ok {
		c.report(nil)
		if text := reply.Error(); strings.HasPrefix(text, "OOM") || strings.Contains(text, "-OOM ") {
			return fmt.Errorf("%w: maxmemory is used up", store.ErrFull)
		}
		return c.clean(err)
	}
	select {
	case <-c.closed:
		return store.ErrClosed
	default:
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = ctx.Err()
	}
	err = c.clean(err)
	if !errors.Is(err, context.Canceled) {
		c.report(err)
	}
	return err
}

// report logs when calls begin to fail and when they succeed again.
func (c *Client) report(err error) {
	switch {
	case err != nil && c.healthy.CompareAndSwap(true, false):
		c.log.Warn("redis cannot be asked", "addresses", strings.Join(c.options.Addresses, ","), "error", err)
	case err == nil && !c.healthy.Load() && c.healthy.CompareAndSwap(false, true):
		c.log.Info("redis answers again", "addresses", strings.Join(c.options.Addresses, ","))
	}
}

// clean takes out of an error what a server repeats of a command, which may be a password. Errors of contexts, and of the network, stay what they are.
func (c *Client) clean(err error) error {
	if _, ok := rueidis.IsRedisErr(err); !ok {
		return err
	}
	text, _, _ := strings.Cut(err.Error(), ", with args")
	for _, secret := range []string{c.options.Password, c.options.SentinelPassword} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return errors.New("server said " + text)
}
