package memory

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/jotgate/jotgate/internal/store"
)

// format is the first byte of what Save writes.
const format = 1

// maxVersion is far beyond all versions that were ever given, and far from where numbers begin anew.
const maxVersion = 1 << 62

// Save writes all items that have not ended. Items that change meanwhile are written as they were at the start; nobody waits for the writing.
func (s *Store) Save(w io.Writer) error {
	now := s.now()
	s.mu.Lock()
	s.purge(now, len(s.ends))
	entries := make([]*entry, 0, len(s.items))
	for _, block := range s.index.blocks {
		entries = append(entries, block...)
	}
	last := s.version
	s.mu.Unlock()

	b := bufio.NewWriterSize(w, 64<<10)
	var head []byte
	head = append(head, format)
	head = binary.AppendUvarint(head, last)
	head = binary.AppendUvarint(head, uint64(len(entries)))
	_, _ = b.Write(head) // the writer keeps its first error for Flush
	for _, e := range entries {
		head = binary.AppendUvarint(head[:0], uint64(len(e.key)))
		head = append(head, e.key...)
		head = binary.AppendUvarint(head, e.version)
		head = binary.AppendVarint(head, e.end)
		head = binary.AppendUvarint(head, uint64(len(e.value)))
		_, _ = b.Write(head)
		_, _ = b.Write(e.value)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("saving items: %w", err)
	}
	return nil
}

// Load takes over what Save has written, into a store that is still empty. After an error the store is empty again.
func (s *Store) Load(r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) > 0 {
		return errors.New("loading items: the store is not empty")
	}
	if err := s.load(bufio.NewReaderSize(r, 64<<10)); err != nil {
		s.items, s.index, s.ends, s.bytes = make(map[string]*entry), index{}, nil, 0
		return fmt.Errorf("loading items: %w", err)
	}
	return nil
}

func (s *Store) load(r *bufio.Reader) error {
	version, err := r.ReadByte()
	if err != nil {
		return truncated(err)
	}
	if version != format {
		return fmt.Errorf("format %d is not known", version)
	}
	last, err := binary.ReadUvarint(r)
	if err != nil || last > maxVersion {
		return truncated(err)
	}
	count, err := binary.ReadUvarint(r)
	if err != nil {
		return truncated(err)
	}
	now := s.now()
	for range count {
		e, err := readEntry(r)
		if err != nil {
			return err
		}
		if e.version > last || e.version == 0 || s.items[e.key] != nil {
			return errors.New("an item is there twice, or has a version that was never given")
		}
		if e.over(now) {
			continue
		}
		if s.bytes+e.size() > s.maxBytes {
			return store.ErrFull
		}
		s.set(e)
	}
	s.version = max(s.version, last)
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the last item")
	}
	return nil
}

func readEntry(r *bufio.Reader) (*entry, error) {
	key, err := readBytes(r, store.MaxKey)
	if err != nil {
		return nil, err
	}
	e := &entry{key: string(key), place: -1}
	if err := store.CheckKey(e.key); err != nil {
		return nil, err
	}
	if e.version, err = binary.ReadUvarint(r); err != nil {
		return nil, truncated(err)
	}
	if e.end, err = binary.ReadVarint(r); err != nil || e.end < 0 {
		return nil, truncated(err)
	}
	e.value, err = readBytes(r, store.MaxValue)
	return e, err
}

func readBytes(r *bufio.Reader, most uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, truncated(err)
	}
	if n > most {
		return nil, store.ErrTooLarge
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, truncated(err)
	}
	return text, nil
}

// truncated names the error of reading what is cut off or no number.
func truncated(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("an item is not whole: %w", err)
}
