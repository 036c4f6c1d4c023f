package soak_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// actions are everything that clients do. The first ones are good requests, whose answers must be right; the others break something off.
var actions = []action{
	{"get", 20, func(c *client) error { return c.get("/echo") }},
	{"get, chunked answer", 8, func(c *client) error { return c.get("/chunked") }},
	{"get, interim answer", 3, func(c *client) error { return c.get("/interim") }},
	{"get, answer ends with the connection", 3, func(c *client) error { return c.get("/until-closed") }},
	{"get, server closes", 3, func(c *client) error { return c.get("/close") }},
	{"get, large answer", 1, func(c *client) error { return c.get("/large") }},
	{"head", 3, func(c *client) error {
		head, _ := c.head("HEAD", "good.test", "/echo")
		if err := c.write(head); err != nil {
			return err
		}
		return c.answered("HEAD", http.StatusOK, "")
	}},
	{"post", 8, func(c *client) error { return c.post(false, 1+c.random.IntN(40_000)) }},
	{"post, chunked", 8, func(c *client) error { return c.post(true, 2+c.random.IntN(40_000)) }},
	{"pipeline", 3, func(c *client) error { return c.pipeline(2 + c.random.IntN(5)) }},
	{"no token", 3, func(c *client) error {
		head, _ := c.head("GET", "good.test", "/echo")
		start, rest, _ := strings.Cut(head, "Authorization:")
		_, rest, _ = strings.Cut(rest, "\r\n")
		if err := c.write(start + rest); err != nil {
			return err
		}
		return c.answered("GET", http.StatusUnauthorized, "")
	}},

	{"reset in the head", 3, func(c *client) error { return c.part("GET", "/echo", "", 60) }},
	{"reset in the body", 3, func(c *client) error { return c.part("POST", "/cut", "Content-Length: 60000", 20_000) }},
	{"reset in a chunked body", 3, func(c *client) error { return c.part("POST", "/cut", "Transfer-Encoding: chunked", 20_000) }},
	{"reset after the request", 4, func(c *client) error { return c.part("GET", "/echo", "", 1<<20) }},
	{"reset in the answer", 3, func(c *client) error {
		head, _ := c.head("GET", "good.test", "/large")
		if err := c.write(head); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c.in, int64(1+c.random.IntN(100_000))); err != nil {
			return err
		}
		return c.reset()
	}},
	{"reset in a pipeline", 2, func(c *client) error {
		first, _ := c.head("GET", "good.test", "/large")
		second, _ := c.head("GET", "good.test", "/echo")
		if err := c.write(first + second + second[:20]); err != nil {
			return err
		}
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		return c.reset()
	}},
	{"half-closed in the head", 3, func(c *client) error { return c.half("GET", "/echo", "", 60) }},
	{"half-closed in the body", 3, func(c *client) error { return c.half("POST", "/cut", "Content-Length: 60000", 20_000) }},
	{"half-closed in a chunked body", 3, func(c *client) error { return c.half("POST", "/cut", "Transfer-Encoding: chunked", 20_000) }},
	{"half-closed after the request", 3, func(c *client) error {
		head, id := c.head("GET", "good.test", "/echo")
		if err := c.write(head); err != nil {
			return err
		}
		_ = c.conn.CloseWrite()
		defer c.drop()
		// Whether somebody who sends no more still reads cannot be known: the answer may come, and then it is this one.
		text, err := io.ReadAll(c.in)
		if err != nil && !isClosed(err) {
			return fmt.Errorf("%w: %w", errNoEnd, err)
		}
		if strings.Contains(string(text), "HTTP/1.1 200") && !strings.HasSuffix(string(text), echo(id, 0, 0)) {
			return fmt.Errorf("answered with %.300q", text)
		}
		return nil
	}},

	{"upgrade, client closes", 2, func(c *client) error { return c.upgrade("-close") }},
	{"upgrade, client resets", 2, func(c *client) error { return c.upgrade("-reset") }},
	{"upgrade, server closes", 2, func(c *client) error { return c.upgrade("close") }},
	{"upgrade, server resets", 2, func(c *client) error { return c.upgrade("reset") }},

	{"server: no head", 2, func(c *client) error { return c.tolerant("GET", "/no-head", 502) }},
	{"server: half a head", 2, func(c *client) error { return c.tolerant("GET", "/half-head", 502) }},
	{"server: reset in the head", 2, func(c *client) error { return c.tolerant("POST", "/reset-head", 502) }},
	{"server: half a body", 2, func(c *client) error { return c.tolerant("GET", "/half-body", 200, 502) }},
	{"server: reset in the body", 2, func(c *client) error { return c.tolerant("GET", "/reset-body", 200, 502) }},
	{"server: half a chunk", 2, func(c *client) error { return c.tolerant("POST", "/half-chunk", 200, 502) }},
	{"server: reset while idle", 3, func(c *client) error { return c.tolerant("GET", "/reset-idle", 200, 502) }},
	{"server: closed while idle", 3, func(c *client) error { return c.tolerant("POST", "/close-idle", 200, 502) }},
	{"server: two lengths", 2, func(c *client) error { return c.tolerant("GET", "/two-lengths", 502) }},
	{"server: bytes that nobody asked for", 2, func(c *client) error { return c.tolerant("GET", "/more", 200, 502) }},
	{"server: early answer", 2, func(c *client) error { return c.tolerant("POST", "/early", 413, 502) }},
	{"server: a good answer", 3, func(c *client) error { return c.tolerant("GET", "/echo", 200, 502) }},
	{"server: silent until the client is gone", 1, func(c *client) error {
		head, _ := c.head("GET", "bad.test", "/silent")
		if err := c.write(head); err != nil {
			return err
		}
		return c.reset()
	}},
}

// message is the beginning of a request: its head, what follows it, and of both at most n bytes.
func (c *client) message(method, target, framing string, n int) string {
	var fields []string
	if framing != "" {
		fields = append(fields, framing)
	}
	text, _ := c.head(method, "good.test", target, fields...)
	switch {
	case strings.Contains(framing, "chunked"):
		text += fmt.Sprintf("%x\r\n%s\r\nffff\r\n%s", 15_000, large[:15_000], large[:0xffff])
	case framing != "":
		text += large[:50_000]
	}
	return text[:min(n, len(text))]
}

// part sends the beginning of a request and breaks the connection off.
func (c *client) part(method, target, framing string, n int) error {
	if err := c.write(c.message(method, target, framing, n)); err != nil {
		return err
	}
	return c.reset()
}

// half sends the beginning of a request and ends the sending side.
func (c *client) half(method, target, framing string, n int) error {
	if err := c.write(c.message(method, target, framing, n)); err != nil {
		return err
	}
	_ = c.conn.CloseWrite()
	return c.gone("a part of a request")
}
