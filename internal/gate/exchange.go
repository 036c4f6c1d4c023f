package gate

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/netip"
	"time"
	"unsafe"

	"github.com/jotgate/jotgate/internal/limit"
)

// Exchange is one request and its response on their way through the gate. It is not tied to an HTTP library: every door (server engine or decision
// endpoint) fills one and serves it with the same core. It belongs to one goroutine at a time. Neither it nor strings of the request may be kept after it was served:
// they may be views of a buffer that is used again.
type Exchange struct {
	// Context ends when the client is gone or the gateway stops hard. An engine whose Context never does has a Writer with Gone() bool, which tells.
	Context context.Context
	// Start is when the request's header had arrived; all checks of time use it.
	Start time.Time
	// Listener is the name of the listener.
	Listener string

	// The request as received. Only the server writes these.
	Method string
	Proto  int    // major*10+minor: 10, 11, 20
	Scheme string // "http" or "https", as the client saw it
	Host   string // Host header or :authority as sent
	Target string // path and query as sent, in origin form
	In     Header // every field as sent, without Host; pseudo-header fields are not in it
	// Peer is the other end of the connection, after the PROXY protocol; Client is who is believed to have sent the request: Peer, unless Peer is a trusted proxy.
	Peer, Client netip.AddrPort
	// PeerTrusted says that Peer is one of the listener's trusted proxies.
	PeerTrusted bool
	// ServerName and ClientCertificate come from the TLS handshake; empty without.
	ServerName        string
	ClientCertificate *x509.Certificate
	// Body is never nil; its Close ends a Read that is under way in another goroutine. Length is its length in bytes, -1 if unknown, 0 if there is none.
	Body   io.ReadCloser
	Length int64
	// Trailer returns the request's trailer fields; it is complete once Body returned io.EOF. It may be nil.
	Trailer func() Header
	// Upgrade is the protocol that an HTTP/1.1 client asks to switch to (RFC 9110 section 7.8), in its spelling; empty if none.
	Upgrade string

	// The routing view and what is forwarded, written by the engine and by steps.
	RoutingHost string // canonical: lower case, no port, no final dot
	RoutingPath string // canonical, reserved characters still encoded
	OutHost     string // the Host to forward: RoutingHost and the port that was sent, if any
	OutPath     string // the encoded path to forward: what was routed is what is forwarded
	OutQuery    string // without '?'
	Out         Header // what is forwarded: hop-by-hop fields and client copies of our fields are gone
	API         string // name of the API, "" until matched

	// What was decided.
	Identity *Identity // nil until a token was verified
	// Session is what the identity may do now, nil if a valid token is all that the API asks for; Uses are what the request takes from, made by the step that asks the session's grant.
	Session *Session
	Uses    []limit.Use
	// Taken is what became of Uses, for headers, logs and records.
	Taken limit.Taken
	// DryRun is the reason for which the request would be refused if the rule that says so were not in dry-run; "" for others.
	DryRun Reason
	// ClaimFields tell the upstream who is calling. They are shared by all requests with the token and read-only.
	ClaimFields Header
	Denial      *Denial // why the request was refused; nil if it was not
	Trace       *Trace  // nil unless somebody wants the verdict explained

	// The response.
	Reply     Header // fields of the response, before the head is written
	Status    int    // status of the response, 0 until known
	Sent      int64  // bytes of body written to the client
	Received  int64  // bytes of body read from the client
	Server    string // URL of the upstream server that answered, "" if none
	Attempts  int    // how often the request was sent upstream
	HeadSent  bool   // the head of the response is out: nothing can be refused any more
	Upgraded  bool   // the connection now speaks another protocol
	Writer    Writer
	responses []Responder

	// Texts is memory for texts that are good until Reset, as those of In may be. Whoever makes one appends to it, and takes it by TextFrom.
	Texts []byte

	// Hop outlives the exchange: the requests of a connection come from the same place, so what describes it is written once.
	Hop Hop
}

// Hop is a place that requests come from, and the texts that describe it to upstreams. The texts are good only while the rest is that of the exchange.
type Hop struct {
	Peer         netip.Addr
	Host, Scheme string
	// Element is the forwarded-element (RFC 7239 section 4); PeerText is the address in it.
	Element, PeerText string
}

// Writer is how a response reaches the client; server engines implement it. Calls come in the order Informational*, Head, Write*, Flush*, Trailer, or
// Informational*, Upgrade.
type Writer interface {
	// Informational sends an interim response (1xx, not 101).
	Informational(status int, header Header) error
	// Head sends the status line and header. length is the number of bytes that follow, or -1 if it is not known; the engine chooses the framing, and sends no body where
	// RFC 9110 section 6.4.1 forbids one.
	Head(status int, header Header, length int64) error
	// Write sends a part of the body.
	io.Writer
	// Flush sends what is buffered.
	Flush() error
	// Trailer sends trailer fields after the body; they are dropped where the protocol cannot carry them.
	Trailer(header Header) error
	// Upgrade answers 101 with header and hands the connection over. The caller closes it.
	Upgrade(header Header) (io.ReadWriteCloser, error)
	// Abort breaks the response off so that the client sees that it is not complete.
	Abort()
}

// Step is one behaviour on a request's way. It may change the Out side of the exchange. nil means: go on; a *Denial refuses; ErrAnswered ends the exchange with the
// Status and Reply that the step has set and no body; any other error is answered 500.
type Step interface {
	Handle(x *Exchange) error
}

// Responder is a step that also has something to do with the response. Respond is called once before the head is sent, for every step whose Handle was called,
// in reverse order, also when the request was refused.
type Responder interface {
	Respond(x *Exchange)
}

// Forwarder is the end of a request's way: it sends the request to an upstream and streams the answer back through x.WriteHead and x.Writer. It returns a *Denial if it could not, and nothing
// was sent to the client yet; after the head was sent it aborts the response itself and returns why.
type Forwarder interface {
	Forward(x *Exchange) error
}

// Handler serves exchanges: the engine is one, servers call it.
type Handler interface {
	Serve(x *Exchange)
}

// ErrBodyTooLarge is what Body.Read ends with when the body is larger than allowed.
var ErrBodyTooLarge = errors.New("request body too large")

// ErrAnswered is returned by a step that answered the request itself.
var ErrAnswered = errors.New("answered by a step")

// Observe adds r to those that are asked before the head is sent.
func (x *Exchange) Observe(r Responder) { x.responses = append(x.responses, r) }

// WriteHead lets the responders change Reply, then sends the head of the response.
func (x *Exchange) WriteHead(status int, length int64) error {
	x.Status = status
	for i := len(x.responses) - 1; i >= 0; i-- {
		x.responses[i].Respond(x)
	}
	x.HeadSent = true
	return x.Writer.Head(x.Status, x.Reply, length)
}

// WriteUpgrade lets the responders change Reply, then answers 101 and takes the connection over.
func (x *Exchange) WriteUpgrade() (io.ReadWriteCloser, error) {
	x.Status = 101
	for i := len(x.responses) - 1; i >= 0; i-- {
		x.responses[i].Respond(x)
	}
	x.HeadSent, x.Upgraded = true, true
	return x.Writer.Upgrade(x.Reply)
}

// Reset makes x ready for another request. It lets go of everything but the memory of the headers and the Hop, so that servers can pool exchanges.
func (x *Exchange) Reset() {
	in, out, reply, responses, uses, texts := x.In, x.Out, x.Reply, x.responses, x.Uses, x.Texts
	if cap(texts) > maxKeptTexts {
		texts = nil
	}
	if sharesMemory(out, in) || sharesMemory(out, reply) {
		out = nil
	}
	if sharesMemory(reply, in) {
		reply = nil
	}
	clear(responses)
	taken := x.Taken
	taken.Clear()
	*x = Exchange{In: emptied(in), Out: emptied(out), Reply: emptied(reply), responses: responses[:0], Uses: noUses(uses), Taken: taken, Texts: texts[:0], Hop: x.Hop}
}

// maxKeptTexts bounds the memory that a pooled exchange holds on to.
const maxKeptTexts = 4 << 10

// TextFrom returns what was appended to Texts since its length was start.
func (x *Exchange) TextFrom(start int) string {
	if start == len(x.Texts) {
		return ""
	}
	return unsafe.String(&x.Texts[start], len(x.Texts)-start) //nolint:gosec // bytes are only appended until Reset
}

// noUses keeps the memory of uses, unless that is unusually large.
func noUses(uses []limit.Use) []limit.Use {
	const maxKept = 64
	if cap(uses) > maxKept {
		return nil
	}
	clear(uses)
	return uses[:0]
}

// maxKeptFields bounds the memory that a pooled exchange holds on to.
const maxKeptFields = 256

// emptied lets go of the strings of h and keeps its memory, unless that is unusually large.
func emptied(h Header) Header {
	if cap(h) > maxKeptFields {
		return nil
	}
	clear(h[:cap(h)])
	return h[:0]
}

// sharesMemory reports whether a and b end in the same array: two headers of one exchange must not, once it is reused.
func sharesMemory(a, b Header) bool {
	return cap(a) > 0 && cap(b) > 0 && &a[:cap(a)][cap(a)-1] == &b[:cap(b)][cap(b)-1]
}
