package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// document is an accepted JWK Set: immutable, with at least one usable key.
type document struct {
	keys    []*jose.Key
	skipped []string
	body    []byte
	// location is where it was fetched; the validators mean something there only.
	location   string
	validators validators
	// fetched is when it was last confirmed, and lifetime how long it should be used from then on. A lifetime of 0 has no end.
	fetched  time.Time
	lifetime time.Duration
	// fromDisk says that it was left by an earlier run and not confirmed since.
	fromDisk bool
}

// expires is when the document must not be used any more, if it cannot be renewed until then.
func (d *document) expires(maxStale time.Duration) time.Time {
	return d.fetched.Add(d.lifetime + maxStale)
}

// stale reports whether the document should have been renewed by now.
func (d *document) stale(now time.Time) bool {
	return d.lifetime > 0 && now.After(d.fetched.Add(d.lifetime))
}

// errNoKeys: a set that is well-formed, but of no use. Providers publish such sets by mistake, so it does not take the former keys away.
var errNoKeys = errors.New("the set holds no usable key")

// setOptions are for what is fetched: never secrets.
func setOptions(limits gate.Fetch) jose.SetOptions {
	return jose.SetOptions{Limits: jose.Limits{SetBytes: int(limits.MaxBytes), Keys: limits.MaxKeys}}
}

// parseDocument reads a JWK Set and keeps what is usable.
func parseDocument(body []byte, options jose.SetOptions) (*document, error) {
	set, problems, err := jose.ParseSet(body, options)
	if err != nil {
		return nil, err
	}
	d := &document{keys: set.Keys(), body: body}
	for _, p := range problems {
		d.skipped = append(d.skipped, p.Error())
	}
	switch {
	case len(d.keys) > 0:
		return d, nil
	case len(problems) > 0:
		return nil, fmt.Errorf("%w: %w", errNoKeys, problems[0])
	default:
		return nil, fmt.Errorf("%w: it is empty", errNoKeys)
	}
}
