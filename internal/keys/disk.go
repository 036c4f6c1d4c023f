package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// disk keeps the last known good documents over restarts, one file each, in a directory that only the gateway can write. A file is the SHA-256 of the rest in
// hexadecimal, a line end, and a saved document in JSON.
type disk struct {
	dir string
}

// saved is a document on disk.
type saved struct {
	// Binding is what the document is good for; see part.binding.
	Binding  string        `json:"binding"`
	Location string        `json:"location"`
	Fetched  time.Time     `json:"fetched"`
	Lifetime time.Duration `json:"lifetime"`
	// Expires is when the document is too old to be used, as far as the configuration said when it was saved.
	Expires    time.Time  `json:"expires"`
	Validators validators `json:"validators"`
	Set        []byte     `json:"set"`
}

const (
	checksumBytes = 2 * sha256.Size
	// savedOverhead is what a file may hold besides the set: base64 makes 3 bytes 4.
	savedOverhead = 64 << 10
	maxSaved      = maxSetBytes*4/3 + savedOverhead
	// suffix is what the names of files end in, and newPrefix what they begin with until they are whole.
	suffix, newPrefix = ".jwks", ".new-"
	// forgetAfter is how long a file that nobody writes any more stays, and pruneInterval how often such files are looked for.
	forgetAfter, pruneInterval = 30 * 24 * time.Hour, 24 * time.Hour
)

// path is the file of a binding, which is a SHA-256 in hexadecimal.
func (d disk) path(binding string) string { return filepath.Join(d.dir, binding+suffix) }

// save replaces the file of the binding as a whole: whoever reads it sees the old or the new one.
func (d disk) save(binding string, doc *document, maxStale time.Duration) (err error) {
	body, err := json.Marshal(saved{binding, doc.location, doc.fetched, doc.lifetime, doc.expires(maxStale), doc.validators, doc.body})
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.dir, newPrefix+"*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	sum := sha256.Sum256(body)
	_, err = f.Write(append(append(hex.AppendEncode(nil, sum[:]), '\n'), body...))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), d.path(binding))
}

// load returns the document of the binding, nil if there is none. It is an error if the file is damaged, belongs to something else, or could have been written by
// others.
func (d disk) load(binding string, options jose.SetOptions, now time.Time) (*document, error) {
	info, err := os.Lstat(d.path(binding))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(), info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("not a regular file that only its owner can write: %s", info.Mode())
	}
	data, err := readFile(d.path(binding), options.Limits.SetBytes*4/3+savedOverhead)
	if err != nil {
		return nil, err
	}
	if len(data) <= checksumBytes {
		return nil, errors.New("the file is cut off")
	}
	body := data[checksumBytes+1:]
	sum := sha256.Sum256(body)
	if !bytes.Equal(hex.AppendEncode(nil, sum[:]), data[:checksumBytes]) {
		return nil, errors.New("the checksum does not match")
	}
	var s saved
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, errors.New("not a saved key set")
	}
	if s.Binding != binding || s.Lifetime <= 0 {
		return nil, errors.New("the file belongs to another provider")
	}
	doc, err := parseDocument(s.Set, options)
	if err != nil {
		return nil, err
	}
	doc.location, doc.validators, doc.lifetime, doc.fromDisk = s.Location, s.Validators, s.Lifetime, true
	if doc.fetched = s.Fetched; doc.fetched.After(now) {
		doc.fetched = now // the clock was set back
	}
	return doc, nil
}

// prune removes the files that no configuration writes any more and none can use, and returns how many there were. Only files under names that this package gives
// are touched. A document that may be used for longer than forgetAfter stays as long as it may.
func (d disk) prune(now time.Time) (removed int, err error) {
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries { // those that could be read, if there was an error
		if !isOurs(e.Name()) {
			continue
		}
		info, statErr := e.Info()
		if statErr != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) < forgetAfter {
			continue
		}
		path := filepath.Join(d.dir, e.Name())
		if now.Before(expiryOf(path)) {
			continue
		}
		if removeErr := os.Remove(path); removeErr != nil {
			err = errors.Join(err, removeErr)
			continue
		}
		removed++
	}
	return removed, err
}

// isOurs reports whether save gives files such a name.
func isOurs(name string) bool {
	if strings.HasPrefix(name, newPrefix) {
		return true
	}
	binding, ok := strings.CutSuffix(name, suffix)
	return ok && len(binding) == checksumBytes && strings.Trim(binding, "0123456789abcdef") == ""
}

// expiryOf is when the document in a file is too old to be used; a file without one has long expired.
func expiryOf(path string) time.Time {
	var s saved
	data, err := readFile(path, maxSaved)
	if err != nil || len(data) <= checksumBytes || json.Unmarshal(data[checksumBytes+1:], &s) != nil {
		return time.Time{}
	}
	return s.Expires
}
