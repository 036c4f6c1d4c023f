package redis

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/jotgate/jotgate/internal/store"
)

var (
	//go:embed space.lua
	spaceSource string
	//go:embed get.lua
	getSource string
	//go:embed put.lua
	putSource string
	//go:embed delete.lua
	deleteSource string
	//go:embed list.lua
	listSource string
	//go:embed changes.lua
	changesSource string
)

const (
	// pageItems and pageBytes bound what one script looks at, so that it holds up the server for others no longer than some milliseconds.
	pageItems = 256
	pageBytes = 4 << 20
	// pollInterval is how often changes are asked for. Asking needs no connection of its own, misses nothing when one breaks, and costs a server about 20 microseconds.
	pollInterval = 200 * time.Millisecond
)

// Store is a store.Store in Redis. What it has acknowledged is as safe as the server's persistence and replication make it.
type Store struct {
	client *Client
	closed chan struct{}
	once   sync.Once

	get, put, remove, list, changes *script
}

// NewStore makes a store of a connection, which stays its owner's.
func NewStore(c *Client) *Store {
	return &Store{
		client: c, closed: make(chan struct{}),
		get: newScript("reading", spaceSource+getSource), put: newScript("writing", spaceSource+putSource), remove: newScript("deleting", spaceSource+deleteSource),
		list: newScript("listing", spaceSource+listSource), changes: newScript("asking for changes", spaceSource+changesSource),
	}
}

// keys are the five keys of a space. The braces put them into one slot of a Cluster.
func (s *Store) keys(space string) []string {
	base := s.client.options.Prefix + "{" + space + "}:"
	return []string{base + "items", base + "index", base + "ends", base + "log", base + "meta"}
}

// split parts a key or prefix into its space and the rest.
func split(key string) (space, rest string) {
	space, rest, _ = strings.Cut(key, "/")
	return space, rest
}

// eval runs a script for a space, unless the store is closed; closing ends it.
func (s *Store) eval(ctx context.Context, script *script, space string, args ...string) (rueidis.RedisMessage, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-done:
		}
	}()
	message, err := s.client.eval(ctx, script, s.keys(space), args)
	if err != nil && s.isClosed() {
		return message, store.ErrClosed
	}
	return message, err
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// usable returns why no call can be made.
func (s *Store) usable(ctx context.Context) error {
	if s.isClosed() {
		return store.ErrClosed
	}
	return ctx.Err()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	if err := s.usable(ctx); err != nil {
		return store.Item{}, err
	}
	if err := store.CheckKey(key); err != nil {
		return store.Item{}, err
	}
	space, rest := split(key)
	reply, err := s.texts(s.eval(ctx, s.get, space, rest))
	if err != nil {
		return store.Item{}, err
	}
	if len(reply) == 0 {
		return store.Item{}, store.ErrNotFound
	}
	if len(reply) != 3 {
		return store.Item{}, errReply
	}
	return item(key, reply)
}

var errReply = errors.New("redis gave an answer that is none: something else uses the keys")

// texts takes a reply that is a list of texts apart.
func (s *Store) texts(message rueidis.RedisMessage, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	list, err := message.AsStrSlice()
	if err != nil {
		return nil, errReply
	}
	return list, nil
}

// item makes an item of version, milliseconds left and value. Its end is by our clock: that of the server may be another one.
func item(key string, reply []string) (store.Item, error) {
	version, err := strconv.ParseUint(reply[0], 10, 64)
	if err != nil {
		return store.Item{}, errReply
	}
	left, err := strconv.ParseInt(reply[1], 10, 64)
	if err != nil {
		return store.Item{}, errReply
	}
	found := store.Item{Key: key, Value: []byte(reply[2]), Version: version}
	if left > 0 {
		found.Expires = time.Now().Add(time.Duration(min(left, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
	}
	return found, nil
}

// asked is how the scripts are told of a condition.
func asked(c store.Condition) string {
	if version, ok := c.Version(); ok {
		return strconv.FormatUint(version, 10)
	}
	return ""
}

// Put implements store.Store. ErrFull says that the server's memory is used up.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration, c store.Condition) (uint64, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := store.CheckPut(key, value, ttl); err != nil {
		return 0, err
	}
	milliseconds := ttl.Milliseconds()
	if ttl%time.Millisecond != 0 {
		milliseconds++
	}
	space, rest := split(key)
	message, err := s.eval(ctx, s.put, space, rest, string(value), strconv.FormatInt(milliseconds, 10), asked(c))
	if err != nil {
		return 0, err
	}
	text, err := message.ToString()
	if err == nil && text == "" {
		return 0, store.ErrConflict
	}
	version, parseErr := strconv.ParseUint(text, 10, 64)
	if err != nil || parseErr != nil {
		return 0, errReply
	}
	return version, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string, c store.Condition) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := store.CheckKey(key); err != nil {
		return err
	}
	space, rest := split(key)
	message, err := s.eval(ctx, s.remove, space, rest, asked(c))
	if err != nil {
		return err
	}
	switch text, _ := message.ToString(); text {
	case "done":
		return nil
	case "none":
		return store.ErrNotFound
	case "other":
		return store.ErrConflict
	}
	return errReply
}

// List implements store.Store. It asks page by page: what is changed meanwhile may be in or not.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckList(prefix, limit); err != nil {
		return nil, err
	}
	space, rest := split(prefix)
	from, to := "["+rest, "+"
	if rest != "" {
		to = "(" + rest + "\xff" // which is in no key
	}
	if after > prefix {
		if !strings.HasPrefix(after, prefix) {
			return nil, nil // it is behind everything
		}
		from = "(" + after[len(space)+1:]
	} else if after == prefix {
		from = "(" + rest
	}
	var items []store.Item
	for len(items) < limit {
		reply, err := s.texts(s.eval(ctx, s.list, space, from, to, strconv.Itoa(min(limit-len(items), pageItems)), strconv.Itoa(pageBytes)))
		if err != nil {
			return nil, err
		}
		if len(reply)%4 != 1 {
			return nil, errReply
		}
		for i := 1; i < len(reply); i += 4 {
			found, err := item(space+"/"+reply[i], reply[i+1:i+4])
			if err != nil {
				return nil, err
			}
			items = append(items, found)
		}
		if reply[0] == "" {
			break
		}
		from = "(" + reply[0]
	}
	return items, nil
}

// Close implements store.Store. The connection stays open.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// String says where the store is, for logs.
func (s *Store) String() string { return fmt.Sprint(s.client.options) }
