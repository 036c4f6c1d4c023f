package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The well-known places of OpenID Connect Discovery 1.0 section 4 and RFC 8414 section 3.
const (
	wellKnownOpenID = "/.well-known/openid-configuration"
	wellKnownOAuth  = "/.well-known/oauth-authorization-server"
)

// wellKnown returns the addresses of an issuer's discovery document, in the order in which they are tried: after the issuer's path, as OpenID Connect says, then
// before it, as RFC 8414 says.
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("the issuer is not an http or https URL")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		return nil, errors.New("the issuer has a query, a fragment or user information")
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	if path == "" {
		return []string{origin + wellKnownOpenID, origin + wellKnownOAuth}, nil
	}
	return []string{origin + path + wellKnownOpenID, origin + wellKnownOAuth + path, origin + wellKnownOpenID + path}, nil
}

// errDiscovery: the address of the set is not known, because the discovery document could not be had.
var errDiscovery = errors.New("discovery failed")

// discoveryLoader finds the set through a discovery document, and follows it when it moves.
type discoveryLoader struct {
	fetcher *fetcher
	issuer  string
	places  []string
	record  *record              // of the discovery document
	moved   func(jwksURI string) // is told where the set is

	// What follows belongs to the goroutine that calls load.
	jwksURI    string
	found      string // the place that jwksURI is from
	validators validators
	lifetime   time.Duration
	tried, due time.Time
}

func (l *discoveryLoader) load(ctx context.Context, former *document, asked bool) (*document, error) {
	now := time.Now()
	if l.jwksURI == "" || !now.Before(l.due) || asked && now.Sub(l.tried) >= l.fetcher.limits.MinRefresh {
		if err := l.discover(ctx, now, asked); err != nil {
			if l.jwksURI == "" && !l.resume(former) {
				return nil, fmt.Errorf("%w: %w", errDiscovery, err)
			}
		}
	}
	d, err := (&urlLoader{l.fetcher, l.jwksURI}).load(ctx, former, asked)
	if err != nil {
		l.due = time.Time{} // perhaps the set has moved
		return nil, err
	}
	return d, nil
}

// resume goes on with the address of a set that an earlier run, or an earlier configuration, left.
func (l *discoveryLoader) resume(former *document) bool {
	if former == nil || checkJWKSURI(former.location, l.places[0]) != nil {
		return false
	}
	l.jwksURI = former.location
	return true
}

// discover renews jwksURI, or leaves it as it is.
func (l *discoveryLoader) discover(ctx context.Context, now time.Time, asked bool) error {
	l.tried = now
	l.record.begin(now)
	jwksURI, err := l.lookUp(ctx, asked)
	if err != nil {
		l.due = now.Add(l.fetcher.limits.MinRefresh)
		l.record.failed(err, l.due)
		return err
	}
	l.due = now.Add(refreshAfter(l.lifetime, l.fetcher.limits.MinRefresh, 0)) // the set's schedule has the jitter
	l.record.succeeded(time.Now(), jwksURI != l.jwksURI, l.due)
	l.jwksURI = jwksURI
	l.moved(jwksURI)
	return nil
}

// lookUp asks the places one after the other until one does not answer 404.
func (l *discoveryLoader) lookUp(ctx context.Context, asked bool) (jwksURI string, err error) {
	for _, place := range l.places {
		var known validators
		if l.found == place {
			known = l.validators
		}
		l.record.located(display(place))
		var a answer
		a, err = l.fetcher.get(ctx, place, known, asked)
		var status errStatus
		if errors.As(err, &status) && status.code == http.StatusNotFound {
			continue
		}
		if err != nil {
			return "", err
		}
		l.lifetime = l.fetcher.freshness(a, time.Now(), l.lifetime)
		if a.unchanged {
			return l.jwksURI, nil
		}
		if jwksURI, err = readMetadata(a.body, l.issuer, place); err != nil {
			return "", err
		}
		l.found, l.validators = place, a.validators
		return jwksURI, nil
	}
	return "", err
}

// readMetadata returns the jwks_uri of a discovery document that was fetched from the place, if it is the document of the issuer (RFC 8414 section 3.3).
func readMetadata(body []byte, issuer, place string) (string, error) {
	members, err := stringMembers(body, "issuer", "jwks_uri")
	if err != nil {
		return "", fmt.Errorf("the discovery document is invalid: %w", err)
	}
	if members["issuer"] != issuer {
		return "", fmt.Errorf("the discovery document is of another issuer, %s", short(members["issuer"]))
	}
	jwksURI := members["jwks_uri"]
	if err := checkJWKSURI(jwksURI, place); err != nil {
		return "", fmt.Errorf("the discovery document's jwks_uri %w", err)
	}
	return jwksURI, nil
}

// checkJWKSURI takes https, and http on the host of a discovery document that came by http itself.
func checkJWKSURI(jwksURI, place string) error {
	to, err := url.Parse(jwksURI)
	from, fromErr := url.Parse(place)
	switch {
	case jwksURI == "":
		return errors.New("is missing")
	case err != nil || fromErr != nil || to.Host == "":
		return errors.New("is not a URL")
	case to.User != nil:
		return errors.New("has user information")
	case to.Scheme == "https":
		return nil
	case to.Scheme == "http" && from.Scheme == "http" && sameHost(from, to):
		return nil
	}
	return fmt.Errorf("%s is not https", short(display(jwksURI)))
}

// stringMembers returns the named members of a JSON object, each of which must be there once and be a string. Names are compared exactly.
func stringMembers(body []byte, names ...string) (map[string]string, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	raw := make(map[string]json.RawMessage)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object")
		}
		if _, twice := raw[name]; twice {
			return nil, fmt.Errorf("two members named %s", short(name))
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("not valid JSON")
		}
		raw[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errors.New("not valid JSON")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("data after the object")
	}
	members := make(map[string]string, len(names))
	for _, name := range names {
		var value *string
		if err := json.Unmarshal(raw[name], &value); err != nil || value == nil {
			return nil, fmt.Errorf("no string %s", name)
		}
		members[name] = *value
	}
	return members, nil
}
