package main

import (
	"context"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"github.com/jotgate/jotgate/internal/gate"
)

// requestFlags describe a request that nobody sends.
type requestFlags struct {
	line, token, data, client, listener, at string
	headers                                 []string
}

func (r *requestFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.line, "request", "", `the request line, such as "GET /tickets HTTP/1.1"`)
	f.StringVar(&r.token, "token", "", "the token: @FILE, - for standard input, or the token itself; it is put into the Authorization header")
	f.StringArrayVarP(&r.headers, "header", "H", nil, "a header line, Name: value; may be repeated")
	f.StringVar(&r.data, "data", "", "a form body: @FILE, - for standard input, or the body itself")
	f.StringVar(&r.client, "client", "127.0.0.1", "the client's IP address")
	f.StringVar(&r.listener, "listener", "", "the listener that the request comes in by (default: the first)")
	f.StringVar(&r.at, "at", "", "the time to judge by, such as 2026-11-23T15:04:05Z (default: now)")
}

// exchange makes the request. args are [METHOD] URL, or nothing with --request; anyPath says that without both the request is GET /.
func (r *requestFlags) exchange(ctx context.Context, in *input, args []string, anyPath bool) (*gate.Exchange, error) {
	x := &gate.Exchange{Context: ctx, Start: time.Now(), Listener: r.listener, Proto: 11, Scheme: "http", Host: "localhost", Method: "GET", Target: "/", Trace: new(gate.Trace)}
	if err := r.readLine(x, args, anyPath); err != nil {
		return nil, err
	}
	if r.at != "" {
		at, err := time.Parse(time.RFC3339, r.at)
		if err != nil {
			return nil, misused("--at %s: a time such as 2026-11-23T15:04:05Z was expected", r.at)
		}
		x.Start = at
	}
	client, err := netip.ParseAddr(r.client)
	if err != nil {
		return nil, misused("--client %s: an IP address was expected", r.client)
	}
	x.Client = netip.AddrPortFrom(client.Unmap(), 0)
	x.Peer = x.Client
	if err := r.readHeaders(x); err != nil {
		return nil, err
	}
	if r.token != "" {
		token, err := in.token(r.token)
		if err != nil {
			return nil, err
		}
		x.In.Add("Authorization", "Bearer "+token)
	}
	return x, r.readBody(x, in)
}

// readLine reads method and address from where they are given.
func (r *requestFlags) readLine(x *gate.Exchange, args []string, anyPath bool) error {
	words := args
	if r.line != "" {
		if len(args) > 0 {
			return misused("the request is given twice, by --request and by arguments")
		}
		words = strings.Fields(r.line)
		if n := len(words); n == 3 {
			proto, err := protocol(words[2])
			if err != nil {
				return err
			}
			x.Proto, words = proto, words[:2]
		}
	}
	var address string
	switch len(words) {
	case 0:
		if anyPath {
			return nil
		}
		return misused("the request is missing: give METHOD URL, or --request")
	case 1:
		address = words[0]
	case 2:
		x.Method, address = words[0], words[1]
	default:
		return misused("a request is METHOD URL, or METHOD URL HTTP/1.1 in --request")
	}
	if !httpguts.ValidHeaderFieldName(x.Method) { // methods and field names are both tokens (RFC 9110 sections 5.1, 9.1)
		return misused("%q is not a method", x.Method)
	}
	return setAddress(x, address)
}

func protocol(text string) (int, error) {
	switch text {
	case "HTTP/1.0":
		return 10, nil
	case "HTTP/1.1":
		return 11, nil
	case "HTTP/2", "HTTP/2.0":
		return 20, nil
	}
	return 0, misused("%q is not HTTP/1.0, HTTP/1.1 or HTTP/2", text)
}

// setAddress splits an address without changing a byte of its path: what is explained is what would be sent.
func setAddress(x *gate.Exchange, address string) error {
	if strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return misused("the address holds a space or a control character")
	}
	address, _, _ = strings.Cut(address, "#") // clients keep the fragment to themselves
	if strings.HasPrefix(address, "/") {
		x.Target = address
		return nil
	}
	scheme, rest, ok := strings.Cut(address, "://")
	if scheme = strings.ToLower(scheme); !ok || scheme != "http" && scheme != "https" {
		return misused("the address must start with http://, https:// or /")
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, err := url.Parse(scheme + "://" + rest[:end])
	if err != nil || authority.Host == "" || authority.User != nil {
		return misused("the address has no valid host")
	}
	x.Scheme, x.Host, x.Target = scheme, authority.Host, rest[end:]
	if !strings.HasPrefix(x.Target, "/") {
		x.Target = "/" + x.Target
	}
	return nil
}

func (r *requestFlags) readHeaders(x *gate.Exchange) error {
	for _, line := range r.headers {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return misused("a header must be Name: value")
		}
		if gate.EqualName(name, "Host") {
			x.Host = value
			continue
		}
		x.In.Add(name, value)
	}
	return nil
}

func (r *requestFlags) readBody(x *gate.Exchange, in *input) error {
	var body []byte
	if r.data != "" {
		var err error
		if body, err = in.argument("body", r.data); err != nil {
			return err
		}
		if !x.In.Has("Content-Type") {
			x.In.Add("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	x.Body, x.Length = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
	if x.Length > 0 && !x.In.Has("Content-Length") {
		x.In.Add("Content-Length", strconv.FormatInt(x.Length, 10))
	}
	return nil
}
