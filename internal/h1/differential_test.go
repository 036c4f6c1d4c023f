package h1_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

// lenient are the reasons for which we read a request that net/http refuses. The list is closed: a new line is a decision.
var lenient = []struct {
	reason string
	fits   func(raw string, m message) bool
}{
	// RFC 9112 section 2.2: a server should ignore at least one empty line before the request line. net/http's server does so after POST, outside of ReadRequest.
	{"an empty line before the request line", func(raw string, _ message) bool { return strings.HasPrefix(raw, "\r\n") }},
}

// goRequest is what net/http reads.
func goRequest(raw string) (m message, err error) {
	br := bufio.NewReaderSize(strings.NewReader(raw), 1<<17)
	r, err := http.ReadRequest(br)
	if err != nil {
		return message{}, err
	}
	m = message{Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: 10*r.ProtoMajor + r.ProtoMinor, Header: sorted(r.Header), Length: r.ContentLength}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return message{}, fmt.Errorf("body: %w", err)
	}
	rest, err := io.ReadAll(br)
	if err != nil {
		return message{}, err
	}
	m.Body, m.Rest, m.Trailer = string(body), string(rest), sorted(r.Trailer)
	return m, nil
}

// sorted is h with each name's lines in their order.
func sorted(h http.Header) gate.Header {
	var buf bytes.Buffer
	_ = h.Write(&buf) // by name
	var out gate.Header
	for line := range strings.SplitSeq(strings.TrimSuffix(buf.String(), "\r\n"), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			out.Add(name, value)
		}
	}
	return out
}

// asGo is h as net/http has it: by canonical name, without the fields that it takes out.
func asGo(h gate.Header, framing h1.Framing) gate.Header {
	m := http.Header{}
	for _, f := range h {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		m[name] = append(m[name], f.Value)
	}
	delete(m, "Transfer-Encoding")
	if framing == h1.Chunked {
		delete(m, "Trailer")
	}
	if l := m["Content-Length"]; len(l) > 1 { // the same in each
		m["Content-Length"] = l[:1]
	}
	return sorted(m)
}

// checkRequest compares what we and net/http make of raw, if both accept it, and reports whether we do.
func checkRequest(tb testing.TB, raw string) bool {
	tb.Helper()
	ours := readRequest(h1.Limits{HTTP10: true}, false, []byte(raw))
	if ours.Err != nil {
		return false
	}
	theirs, err := goRequest(raw)
	if err != nil {
		for _, l := range lenient {
			if l.fits(raw, ours) {
				return true
			}
		}
		tb.Errorf("net/http refuses what we accept: %v\n%q", err, raw)
		return true
	}
	mine := message{
		Method: ours.Method, URI: ours.URI, Host: ours.Host, Proto: ours.Proto, Header: asGo(ours.Header, ours.Framing), Length: ours.Length, Body: ours.Body, Rest: ours.Rest,
		Trailer: asGo(ours.Trailer, h1.NoBody),
	}
	// The host of an absolute-form target counts with net/http; it may differ in case only.
	if ours.Scheme != "" && strings.EqualFold(theirs.Host, mine.Host) {
		theirs.Host = mine.Host
	}
	theirs.Trailer.DelFunc(h1.BarredTrailer)
	if diff := cmp.Diff(theirs, mine, cmpopts.EquateEmpty()); diff != "" {
		tb.Errorf("%q (-net/http +ours):\n%s", raw, diff)
	}
	return true
}

func TestRequestsAgainstNetHTTP(t *testing.T) {
	accepted := 0
	corpus := requestCorpus()
	for _, raw := range corpus {
		if checkRequest(t, raw) {
			accepted++
		}
	}
	t.Logf("%d requests, %d accepted", len(corpus), accepted)
}

// goResponse is what net/http reads as the response to method.
func goResponse(raw, method string) (m message, err error) {
	br := bufio.NewReaderSize(strings.NewReader(raw), 1<<17)
	r, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return message{}, err
	}
	m = message{Status: r.StatusCode, Proto: 10*r.ProtoMajor + r.ProtoMinor, Header: sorted(r.Header)}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return message{}, fmt.Errorf("body: %w", err)
	}
	rest, err := io.ReadAll(br)
	if err != nil {
		return message{}, err
	}
	m.Body, m.Rest, m.Trailer = string(body), string(rest), sorted(r.Trailer)
	return m, nil
}

// checkResponse compares what we and net/http make of raw, and reports whether we accept it.
func checkResponse(tb testing.TB, raw, method string) bool {
	tb.Helper()
	ours := readResponse(method, h1.Limits{}, []byte(raw))
	if ours.Err != nil {
		return false
	}
	theirs, err := goResponse(raw, method)
	if err != nil {
		tb.Errorf("net/http refuses what we accept: %v\n%s %q", err, method, raw)
		return true
	}
	mine := message{Status: ours.Status, Proto: ours.Proto, Header: asGo(ours.Header, ours.Framing), Body: ours.Body, Rest: ours.Rest, Trailer: asGo(ours.Trailer, h1.NoBody)}
	theirs.Trailer.DelFunc(h1.BarredTrailer)
	if diff := cmp.Diff(theirs, mine, cmpopts.EquateEmpty()); diff != "" {
		tb.Errorf("%s %q (-net/http +ours):\n%s", method, raw, diff)
	}
	return true
}

func TestResponsesAgainstNetHTTP(t *testing.T) {
	for _, method := range []string{"GET", "HEAD"} {
		accepted := 0
		corpus := responseCorpus()
		for _, raw := range corpus {
			if checkResponse(t, raw, method) {
				accepted++
			}
		}
		t.Logf("%s: %d responses, %d accepted", method, len(corpus), accepted)
	}
}

// checkPieces reads raw in every way in which it can arrive.
func checkPieces(tb testing.TB, raw string, read func(move bool, pieces ...[]byte) message) {
	tb.Helper()
	whole := read(false, []byte(raw))
	for pieces := range cuts([]byte(raw)) {
		for _, move := range []bool{false, true} {
			got := read(move, pieces...)
			if !errors.Is(got.Err, whole.Err) || whole.Err == nil && !cmp.Equal(whole, got) {
				tb.Fatalf("%q in %d pieces, the first of %d bytes (-whole +pieces):\n%s", raw, len(pieces), len(pieces[0]), cmp.Diff(whole, got, sameError))
			}
		}
	}
}

func TestPiecesMakeNoDifference(t *testing.T) {
	stride := 7 // the corpus varies faster than that
	if testing.Short() || raceEnabled {
		stride = 71
	}
	requests, responses := requestCorpus(), responseCorpus()
	for i := 0; i < len(requests); i += stride {
		checkPieces(t, requests[i], func(move bool, pieces ...[]byte) message {
			return readRequest(h1.Limits{HTTP10: true}, move, pieces...)
		})
	}
	for i := 0; i < len(responses); i += stride {
		checkPieces(t, responses[i], func(_ bool, pieces ...[]byte) message { return readResponse("GET", h1.Limits{}, pieces...) })
	}
}

// checkCanonical writes what was read, and reads that: it is the same message, there is nothing beside it, and writing it again changes nothing.
func checkCanonical(tb testing.TB, raw string) {
	tb.Helper()
	limits := h1.Limits{HTTP10: true}
	first := readRequest(limits, false, []byte(raw))
	if first.Err != nil {
		return
	}
	once, err := rewrite(first)
	if err != nil {
		tb.Fatalf("%q was read and cannot be written: %v", raw, err)
	}
	second := readRequest(limits, false, once)
	if second.Err != nil || second.Rest != "" || second.Method != first.Method || second.Target != first.Target || second.Host != first.Host || second.Body != first.Body || second.Framing != first.Framing {
		tb.Fatalf("%q became %q:\n%+v", raw, once, second)
	}
	if diff := cmp.Diff(first.Trailer, second.Trailer); diff != "" {
		tb.Fatalf("%q: trailer (-first +second):\n%s", raw, diff)
	}
	twice, err := rewrite(second)
	if err != nil || !bytes.Equal(once, twice) {
		tb.Fatalf("%q became %q and then %q, %v", raw, once, twice, err)
	}
	// All that net/http can have against it is something that our reading leaves open.
	if theirs, err := goRequest(string(once)); err != nil || theirs.Rest != "" || theirs.Body != first.Body || theirs.Method != first.Method || theirs.Host != first.Host {
		tb.Fatalf("%q, written: %+v, %v", once, theirs, err)
	}
}

// rewrite writes a request as a gateway does: its head, and its body in one chunk if it came in chunks.
func rewrite(m message) ([]byte, error) {
	var header gate.Header
	for _, f := range m.Header {
		if !gate.EqualName(f.Name, "Host") {
			header = append(header, f)
		}
	}
	out, err := h1.AppendRequestHead(nil, m.Method, m.Target, m.Host, header, h1.Frame{Framing: m.Framing, Length: m.Length, Close: m.Close, Upgrade: upgradeUnless(m)})
	if err != nil || m.Framing != h1.Chunked {
		return append(out, m.Body...), err
	}
	if m.Body != "" {
		out = h1.AppendChunkSize(out, len(m.Body))
		out = append(append(out, m.Body...), '\r', '\n')
	}
	return h1.AppendChunkEnd(out, m.Trailer)
}

// upgradeUnless is the upgrade of a request whose connection stays open.
func upgradeUnless(m message) string {
	if m.Close {
		return ""
	}
	return m.Upgrade
}

func TestCanonicalForm(t *testing.T) {
	for _, raw := range requestCorpus() {
		checkCanonical(t, raw)
	}
}

// checkCanonicalResponse writes a response that was read as a gateway does, and reads that: it is the same message, and writing it again changes nothing.
func checkCanonicalResponse(tb testing.TB, raw, method string) {
	tb.Helper()
	first := readResponse(method, h1.Limits{}, []byte(raw))
	if first.Err != nil {
		return
	}
	once, err := rewriteResponse(first, method)
	if err != nil {
		tb.Fatalf("%q was read and cannot be written: %v", raw, err)
	}
	second := readResponse(method, h1.Limits{}, once)
	if second.Err != nil || second.Rest != "" || second.Status != first.Status || second.Body != first.Body || second.Framing != first.Framing {
		tb.Fatalf("%s %q became %q:\n%+v", method, raw, once, second)
	}
	twice, err := rewriteResponse(second, method)
	if err != nil || !bytes.Equal(once, twice) {
		tb.Fatalf("%s %q became %q and then %q, %v", method, raw, once, twice, err)
	}
	if theirs, err := goResponse(string(once), method); err != nil || theirs.Rest != "" || theirs.Body != first.Body || theirs.Status != first.Status {
		tb.Fatalf("%s %q, written: %+v, %v", method, once, theirs, err)
	}
}

// rewriteResponse writes a response as a gateway does: its body in one chunk if it came in chunks.
func rewriteResponse(m message, method string) ([]byte, error) {
	frame := h1.Frame{Framing: m.Framing, Length: m.Length, Close: m.Close && m.Upgrade == "", Upgrade: m.Upgrade, Head: method == "HEAD"}
	if m.Framing == h1.NoBody && m.Length >= 0 && m.Status >= 200 && m.Status != 204 {
		frame.Framing = h1.Sized // what GET would have got
	}
	out, err := h1.AppendResponseHead(nil, m.Status, m.Header, frame, nil)
	if err != nil || m.Framing != h1.Chunked {
		return append(out, m.Body...), err
	}
	if m.Body != "" {
		out = h1.AppendChunkSize(out, len(m.Body))
		out = append(append(out, m.Body...), '\r', '\n')
	}
	return h1.AppendChunkEnd(out, m.Trailer)
}

func TestCanonicalFormOfResponses(t *testing.T) {
	for _, raw := range responseCorpus() {
		checkCanonicalResponse(t, raw, "GET")
		checkCanonicalResponse(t, raw, "HEAD")
	}
}
