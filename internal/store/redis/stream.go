package redis

import (
	"context"
	_ "embed" // the script
	"strconv"
	"strings"
)

//go:embed stream.lua
var streamSource string

// Stream appends to a Redis stream. It is used by one goroutine.
type Stream struct {
	client    *Client
	script    *script
	key       string
	maxLength string
}

// NewStream appends to the stream at a key, below the client's prefix, of which about the last maxLength entries are kept.
func NewStream(c *Client, key string, maxLength int64) *Stream {
	return &Stream{client: c, script: newScript("appending to a stream", streamSource), key: c.options.Prefix + key, maxLength: strconv.FormatInt(maxLength, 10)}
}

// Write appends an entry for each line, all or none of them, with the line as its field "record".
func (s *Stream) Write(lines []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	args := append([]string{s.maxLength}, strings.Split(strings.TrimSuffix(string(lines), "\n"), "\n")...)
	_, err := s.client.eval(ctx, s.script, []string{s.key}, args)
	return err
}

// Close does nothing: the client is not the stream's.
func (s *Stream) Close() error { return nil }
