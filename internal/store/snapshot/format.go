package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A file is the magic, the sections, a zero byte and the SHA-256 of everything before it. A section is the length of its name in a byte, the name, chunks, and an empty chunk; a chunk is its length in four bytes, big-endian,
// and its bytes.
const (
	magic      = "jotgate snapshot 1\n"
	maxName    = 255
	bufferSize = 64 << 10
)

// place is where a section's chunks are in a file.
type place struct{ offset, length int64 }

// writeSection writes what a section's owner saves.
func writeSection(w io.Writer, s section) error {
	if _, err := w.Write(append([]byte{byte(len(s.name))}, s.name...)); err != nil {
		return err
	}
	chunked := bufio.NewWriterSize(chunkWriter{w}, bufferSize)
	if err := s.save(chunked); err != nil {
		return err
	}
	if err := chunked.Flush(); err != nil {
		return err
	}
	_, err := w.Write(make([]byte, 4))
	return err
}

// chunkWriter writes each of its writes as a chunk.
type chunkWriter struct{ w io.Writer }

func (c chunkWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // an empty chunk is the end
	}
	if len(p) > 1<<30 {
		n, err := c.Write(p[:1<<30])
		if err != nil {
			return n, err
		}
		m, err := c.Write(p[1<<30:])
		return n + m, err
	}
	if _, err := c.w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p)))); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// chunks reads the bytes of chunks up to the empty one.
type chunks struct {
	r    *bufio.Reader
	left uint32
	end  bool
}

func (c *chunks) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.end {
			return 0, io.EOF
		}
		var head [4]byte
		if _, err := io.ReadFull(c.r, head[:]); err != nil {
			return 0, fmt.Errorf("%w: a chunk is cut off", ErrBroken)
		}
		c.left = binary.BigEndian.Uint32(head[:])
		c.end = c.left == 0
	}
	n, err := c.r.Read(p[:min(len(p), int(c.left))])
	c.left -= uint32(n)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: a chunk is cut off", ErrBroken)
	}
	return n, err
}

// scan finds the sections of a file that is whole. It holds no more than a buffer of it.
func scan(file *os.File) (map[string]place, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	body := info.Size() - sha256.Size
	if body < int64(len(magic))+1 {
		return nil, fmt.Errorf("%w: it has only %d bytes", ErrBroken, info.Size())
	}
	head := make([]byte, len(magic))
	if _, err := file.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if string(head) != magic {
		return nil, fmt.Errorf("%w: it does not begin as snapshots of this version do", ErrBroken)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, body)); err != nil {
		return nil, err
	}
	want := make([]byte, sha256.Size)
	if _, err := file.ReadAt(want, body); err != nil {
		return nil, err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return nil, fmt.Errorf("%w: its checksum is another one", ErrBroken)
	}
	return sectionsOf(file, body)
}

// sectionsOf finds the sections in the first body bytes of a file.
func sectionsOf(file io.ReaderAt, body int64) (map[string]place, error) {
	places := make(map[string]place)
	at := int64(len(magic))
	head := make([]byte, 4)
	for {
		if _, err := file.ReadAt(head[:1], at); err != nil || at >= body {
			return nil, fmt.Errorf("%w: it has no end", ErrBroken)
		}
		at++
		length := int64(head[0])
		if length == 0 {
			if at != body {
				return nil, fmt.Errorf("%w: something follows its end", ErrBroken)
			}
			return places, nil
		}
		name := make([]byte, length)
		if at+length > body {
			return nil, fmt.Errorf("%w: a name is cut off", ErrBroken)
		}
		if _, err := file.ReadAt(name, at); err != nil {
			return nil, err
		}
		at += length
		start := at
		for {
			if at+4 > body {
				return nil, fmt.Errorf("%w: a section has no end", ErrBroken)
			}
			if _, err := file.ReadAt(head, at); err != nil {
				return nil, err
			}
			n := int64(binary.BigEndian.Uint32(head))
			at += 4 + n
			if n == 0 {
				break
			}
		}
		if _, twice := places[string(name)]; twice {
			return nil, fmt.Errorf("%w: a section is there twice", ErrBroken)
		}
		places[string(name)] = place{offset: start, length: at - start}
	}
}
