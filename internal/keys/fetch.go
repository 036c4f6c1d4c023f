package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// userAgent is what providers see in their logs.
const userAgent = "jotgate"

// maxValidatorBytes bounds the ETag and Last-Modified that are kept and sent back.
const maxValidatorBytes = 1024

// dialer opens a connection, as net.Dialer.DialContext does.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// fetcher gets documents by URL within the limits of one provider. It keeps nothing between fetches: they are minutes apart, so a connection would be cold anyway,
// and files of certificates are read afresh each time, so that they may be renewed.
type fetcher struct {
	limits gate.Fetch
	guard  guard
	proxy  func(*http.Request) (*url.URL, error)
	dial   dialer
}

// newFetcher uses the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), as users expect. The guard then judges the address of the proxy, and
// the URL where it holds an address itself; names that the proxy resolves are its to judge.
func newFetcher(limits gate.Fetch, dial dialer) *fetcher {
	f := &fetcher{limits: limits, guard: guard{denyPrivate: limits.DenyPrivate}, proxy: http.ProxyFromEnvironment, dial: dial}
	if dial == nil {
		f.dial = (&net.Dialer{Timeout: limits.Timeout, Control: f.guard.control}).DialContext
	}
	return f
}

// validators are what a server gave to ask whether a document has changed (RFC 9110 section 8.8).
type validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

// answer is a document, or the news that it has not changed.
type answer struct {
	unchanged  bool
	body       []byte
	header     http.Header
	validators validators
}

// errStatus is an answer other than 200 and, if validators were sent, 304.
type errStatus struct {
	code     int
	location string
}

func (e errStatus) Error() string {
	text := fmt.Sprintf("the server answered %d %s", e.code, http.StatusText(e.code))
	if e.location != "" {
		text += " to " + short(display(e.location))
	}
	return text
}

// get fetches a document, unless it is the known one still; fresh asks caches on the way not to answer themselves. It takes at most limits.Timeout from dialling to the last byte, reads at most limits.MaxBytes after decompression, and sends no cookies
// and no credentials.
func (f *fetcher) get(ctx context.Context, address string, known validators, fresh bool) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.limits.Timeout)
	defer cancel()
	request, err := f.request(ctx, address, known, fresh)
	if err != nil {
		return answer{}, err
	}
	transport, err := f.transport()
	if err != nil {
		return answer{}, err
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: f.checkRedirect}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, f.clean(ctx, request, err)
	}
	defer func() { _ = response.Body.Close() }() // nothing was written, so nothing can be lost
	a.header = response.Header
	switch {
	case response.StatusCode == http.StatusNotModified && known != validators{}:
		a.unchanged, a.validators = true, known
		return a, nil
	case response.StatusCode != http.StatusOK:
		return answer{}, errStatus{response.StatusCode, response.Header.Get("Location")}
	}
	a.body, err = io.ReadAll(io.LimitReader(response.Body, int64(f.limits.MaxBytes)+1))
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("reading the answer: %w", f.clean(ctx, request, err))
	case int64(len(a.body)) > int64(f.limits.MaxBytes):
		return answer{}, fmt.Errorf("the answer is larger than %s", f.limits.MaxBytes)
	}
	a.validators = validators{bounded(response.Header.Get("ETag")), bounded(response.Header.Get("Last-Modified"))}
	return a, nil
}

func bounded(validator string) string {
	if len(validator) > maxValidatorBytes {
		return ""
	}
	return validator
}

func (f *fetcher) request(ctx context.Context, address string, known validators, fresh bool) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the address is not a URL") // err holds all of it
	}
	if err := f.guard.checkHost(request.URL.Hostname()); err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Accept", "application/jwk-set+json, application/json;q=0.9, */*;q=0.1")
	if fresh {
		request.Header.Set("Cache-Control", "no-cache")
	}
	if known.ETag != "" {
		request.Header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		request.Header.Set("If-Modified-Since", known.LastModified)
	}
	return request, nil
}

func (f *fetcher) transport() (*http.Transport, error) {
	config, err := ClientTLS(f.limits.TLS)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  f.proxy,
		DialContext:            f.dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    f.limits.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
	}, nil
}

// checkRedirect lets a redirect go to https, or to the same scheme and host, and to no refused address.
func (f *fetcher) checkRedirect(request *http.Request, via []*http.Request) error {
	from, to := via[len(via)-1].URL, request.URL
	switch {
	case f.limits.MaxRedirects == 0:
		return http.ErrUseLastResponse
	case len(via) > f.limits.MaxRedirects:
		return fmt.Errorf("more than %d redirects", f.limits.MaxRedirects)
	case to.User != nil:
		return errors.New("redirected to an address with user information")
	case to.Scheme != "https" && (to.Scheme != from.Scheme || !sameHost(from, to)):
		return fmt.Errorf("redirected to %s, which is neither https nor the same host", short(display(to.String())))
	}
	request.Header.Del("Referer")
	return f.guard.checkHost(to.Hostname())
}

// clean drops the URL that net/http puts into its errors, which the part's location says already, and the queries in what is left: net/http quotes what it does not
// understand, and that may be the request sent back. It tells a time-out from being stopped.
func (f *fetcher) clean(ctx context.Context, request *http.Request, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no complete answer within %s", f.limits.Timeout)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	text := err.Error()
	if query := request.URL.RawQuery; query != "" {
		quoted := strconv.Quote(query)
		text = strings.NewReplacer(query, hiddenQuery, quoted[1:len(quoted)-1], hiddenQuery).Replace(text)
	}
	if text = withoutQueries(text); text != err.Error() {
		return errShown{text, err}
	}
	return err
}

// errShown is an error with a text that is fit for display.
type errShown struct {
	text string
	err  error
}

func (e errShown) Error() string { return e.text }
func (e errShown) Unwrap() error { return e.err }

// hiddenQuery is shown in place of a query, which may hold a key.
const hiddenQuery = "…"

// withoutQueries hides what follows a question mark, up to a space or a quotation mark.
func withoutQueries(text string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "?")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("?" + hiddenQuery)
		end := strings.IndexAny(after, " \t\r\n\"")
		if end < 0 {
			return out.String()
		}
		text = after[end:]
	}
}

// sameHost reports whether two URLs name the same host and port.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// short quotes text that others wrote, and cuts it.
func short(s string) string {
	const most = 120
	if len(s) > most {
		return fmt.Sprintf("%+q...", s[:most])
	}
	return fmt.Sprintf("%+q", s)
}

// display is a location fit for logs, /status and /metrics: without user information, and with no more of a query than that there is one, for either may hold a key.
func display(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(not a URL)"
	}
	query := ""
	if u.RawQuery != "" {
		query = "?" + hiddenQuery
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String() + query
}

// freshness is how long an answer may be used, of which known is the time that was last stated.
func (f *fetcher) freshness(a answer, now time.Time, known time.Duration) time.Duration {
	if !a.unchanged {
		known = 0
	}
	return lifetime(a.header, now, known, f.limits.MinRefresh, f.limits.MaxRefresh)
}
