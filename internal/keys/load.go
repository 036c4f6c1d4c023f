package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// loader makes one attempt to get a part's document. former is the one in use, or nil. It is called by one goroutine at a time.
type loader interface {
	// load returns the document as it is now, or an error, upon which the former stays in use. asked says that a token with an unknown kid is the cause.
	load(ctx context.Context, former *document, asked bool) (*document, error)
}

// urlLoader fetches a set from one address.
type urlLoader struct {
	fetcher *fetcher
	address string
}

func (l *urlLoader) load(ctx context.Context, former *document, asked bool) (*document, error) {
	var known validators
	var stated time.Duration
	if former != nil && former.location == l.address {
		known, stated = former.validators, former.lifetime
	}
	a, err := l.fetcher.get(ctx, l.address, known, asked)
	if err != nil {
		return nil, err
	}
	var d *document
	if a.unchanged {
		same := *former
		d = &same
	} else if d, err = parseDocument(a.body, setOptions(l.fetcher.limits)); err != nil {
		return nil, err
	}
	d.location, d.validators, d.fromDisk = l.address, a.validators, false
	d.fetched = time.Now()
	d.lifetime = l.fetcher.freshness(a, d.fetched, stated)
	return d, nil
}

// fileLoader reads a set from a file. What the operator wrote may hold secrets, and does not go stale.
type fileLoader struct {
	path    string
	options jose.SetOptions
}

func (l *fileLoader) load(context.Context, *document, bool) (*document, error) {
	body, err := readFile(l.path, l.options.Limits.SetBytes)
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(body, l.options)
	if err != nil {
		return nil, err
	}
	d.location, d.fetched = l.path, time.Now()
	return d, nil
}

// readFile reads a regular file of bounded size. Others, such as pipes, could block or never end.
func readFile(path string, most int) (data []byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > most {
		return nil, fmt.Errorf("larger than %d bytes", most)
	}
	return data, nil
}
