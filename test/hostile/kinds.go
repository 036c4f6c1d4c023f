package hostile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// kind is one way to be hostile. live returns when the connection has ended, or is to be reset.
type kind struct {
	name    string
	patient bool // the gateway has to end the connection
	narrow  bool // with a tiny window
	live    func(c *client)
}

var kinds = []kind{
	{"drips a head", true, false, func(c *client) {
		c.say("GET %s HTTP/1.1\r\n%sX-Drip: ", c.Path, c.Fields)
		c.drip("a")
	}},
	{"drips field lines", true, false, func(c *client) {
		c.say("GET %s HTTP/1.1\r\n%s", c.Path, c.Fields)
		c.drip("A: b\r\n")
	}},
	{"drips a body", true, false, func(c *client) {
		c.say("POST %s HTTP/1.1\r\n%sContent-Length: 100000\r\n\r\n", c.Path, c.Fields)
		c.drip("a")
	}},
	{"drips chunks", true, false, func(c *client) {
		c.say("POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n", c.Path, c.Fields)
		c.drip("1\r\na\r\n")
	}},
	{"says nothing", true, false, func(c *client) {
		c.say("")
		c.end()
	}},
	{"falls silent in a head", true, false, func(c *client) {
		c.say("GET %s HTTP/1.1\r\nHost: ", c.Path)
		c.end()
	}},
	{"falls silent in a body", true, false, func(c *client) {
		c.say("POST %s HTTP/1.1\r\n%sContent-Length: 100000\r\n\r\n%s", c.Path, c.Fields, strings.Repeat("a", 30_000))
		c.end()
	}},
	{"falls silent after an answer", true, false, func(c *client) {
		c.say("GET %s HTTP/1.1\r\n%s\r\n", c.Path, c.Fields)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close() // what is wrong with it shows in the end of the connection
		c.end()
	}},
	{"closes its half in a head", true, false, func(c *client) {
		c.say("GET %s HTTP/1.1\r\nHost: ", c.Path)
		_ = c.CloseWrite()
		c.end()
	}},
	{"closes its half in a body", true, false, func(c *client) {
		c.say("POST %s HTTP/1.1\r\n%sContent-Length: 100000\r\n\r\n%s", c.Path, c.Fields, strings.Repeat("a", 30_000))
		_ = c.CloseWrite()
		c.end()
	}},
	{"does not read", true, true, func(c *client) {
		c.ask(20)
		for !c.reset() {
			time.Sleep(c.Pace)
		}
	}},
	{"hardly reads", true, true, func(c *client) {
		c.ask(20)
		for b := make([]byte, 1); !c.reset(); time.Sleep(c.Pace) {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	}},
	{"resets in a head", false, false, func(c *client) { c.say("GET %s HTTP/1.1\r\nHost: ", c.Path) }},
	{"resets in a body", false, false, func(c *client) {
		c.say("POST %s HTTP/1.1\r\n%sContent-Length: 100000\r\n\r\n%s", c.Path, c.Fields, strings.Repeat("a", 30_000))
	}},
	{"resets before the answer", false, false, func(c *client) { c.ask(1) }},
	{"resets in the answer", false, false, func(c *client) {
		c.ask(1)
		_, _ = io.CopyN(io.Discard, c, 2000)
	}},
}

// client is a connection of a client.
type client struct {
	*net.TCPConn
	Options
	began func()
}

// say sends the beginning of what a client has to say. Failures show later on: the connection has ended.
func (c *client) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c, format, args...)
	c.began()
}

// ask asks for the large answer n times at once.
func (c *client) ask(n int) {
	c.say("%s", strings.Repeat(fmt.Sprintf("GET %s HTTP/1.1\r\n%s\r\n", c.Large, c.Fields), n))
}

// end reads until the gateway has ended the connection.
func (c *client) end() { _, _ = io.Copy(io.Discard, c) }

// drip sends a little at every turn, until the gateway has ended the connection.
func (c *client) drip(piece string) {
	b := make([]byte, 512)
	for {
		_ = c.SetReadDeadline(time.Now().Add(c.Pace))
		if _, err := c.Read(b); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
	}
}

// reset reports whether the gateway has reset the connection. Reading would tell only after all that came before.
func (c *client) reset() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	var state int
	var failed error
	err = raw.Control(func(fd uintptr) { state, failed = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR) })
	return err != nil || failed != nil || state != 0
}
