package usage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// file appends to a file, which it rotates: NAME.1 is the youngest of the former ones. A file that is too large already is rotated before the first line.
type file struct {
	name     string
	maxBytes int64
	maxFiles int
	f        *os.File
	size     int64
}

// OpenFile returns a sink that appends to a file, which only this user can read. At maxBytes it is renamed to NAME.1, NAME.1 to NAME.2 and so on; maxFiles of them are kept.
func OpenFile(name string, maxBytes int64, maxFiles int) (Sink, error) {
	s := &file{name: name, maxBytes: maxBytes, maxFiles: maxFiles}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *file) open() error {
	f, err := os.OpenFile(s.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the file of usage records: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close() // nothing was written
		return fmt.Errorf("opening the file of usage records: %w", err)
	}
	s.f, s.size = f, info.Size()
	return nil
}

// Write implements [Sink].
func (s *file) Write(lines []byte) error {
	if s.f == nil { // a rotation has failed before
		if err := s.open(); err != nil {
			return err
		}
	}
	if s.size > 0 && s.size+int64(len(lines)) > s.maxBytes {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	n, err := s.f.Write(lines)
	s.size += int64(n)
	if err != nil {
		return fmt.Errorf("writing usage records: %w", err)
	}
	return nil
}

func (s *file) rotate() error {
	if err := s.f.Close(); err != nil {
		return fmt.Errorf("rotating usage records: %w", err)
	}
	s.f = nil
	if s.maxFiles == 0 {
		if err := os.Remove(s.name); err != nil {
			return fmt.Errorf("rotating usage records: %w", err)
		}
		return s.open()
	}
	for i := s.maxFiles; i > 0; i-- {
		from := s.name
		if i > 1 {
			from = s.name + "." + strconv.Itoa(i-1)
		}
		if err := os.Rename(from, s.name+"."+strconv.Itoa(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotating usage records: %w", err)
		}
	}
	return s.open()
}

// Close implements [Sink].
func (s *file) Close() error {
	if s.f == nil {
		return nil
	}
	if err := s.f.Close(); err != nil {
		return fmt.Errorf("closing the file of usage records: %w", err)
	}
	return nil
}

// stream writes to something that stays open.
type stream struct{ w io.Writer }

// ToWriter returns a sink that writes to w, which it does not close.
func ToWriter(w io.Writer) Sink { return stream{w} }

// Write implements [Sink].
func (s stream) Write(lines []byte) error {
	if _, err := s.w.Write(lines); err != nil {
		return fmt.Errorf("writing usage records: %w", err)
	}
	return nil
}

// Close implements [Sink].
func (s stream) Close() error { return nil }
