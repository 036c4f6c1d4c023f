package limit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// ErrSnapshot says that what was to be loaded is no snapshot, or not a whole one.
var ErrSnapshot = errors.New("not a snapshot of counters")

// A snapshot is magic, blocks of a number of records and the records, a block of none, and the SHA-256 of all of it.
const (
	magic      = "jotgate counters 1\n"
	recordSize = 16 + 8 + 8 + 4 + 1
)

func appendRecord(b []byte, s *slot) []byte {
	b = append(b, s.key[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.state.until))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.state.used))
	b = binary.LittleEndian.AppendUint32(b, s.state.before)
	return append(b, byte(s.state.algorithm))
}

func readRecord(b []byte) (s slot, ok bool) {
	copy(s.key[:], b)
	s.state = state{
		until: int64(binary.LittleEndian.Uint64(b[16:])), used: int64(binary.LittleEndian.Uint64(b[24:])),
		before: binary.LittleEndian.Uint32(b[32:]), algorithm: Algorithm(b[36]),
	}
	return s, s.state.sane()
}

// sane reports whether s is a state that some rule can make.
func (s *state) sane() bool {
	most := int64(MaxLimit)
	switch s.algorithm {
	case Bucket:
		most = 999
	case SlidingWindow:
		most = math.MaxUint32
	case FixedWindow:
	default:
		return false
	}
	return s.until > 0 && s.until <= forever && s.used >= 0 && s.used <= most && (s.before == 0 || s.algorithm == SlidingWindow)
}

// Save writes the counters that hold something at the moment now, so that Load can go on with them. Requests go on meanwhile: of one that takes from several counters while they are saved, some of what it takes may be missing.
func (m *Memory) Save(w io.Writer, now time.Time) error {
	us := micros(now)
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	if _, err := io.WriteString(out, magic); err != nil {
		return fmt.Errorf("saving counters: %w", err)
	}
	var block []byte
	for i := range m.shards {
		if block = m.shards[i].appendBlock(block[:0], us); len(block) == blockHead {
			continue
		}
		if _, err := out.Write(block); err != nil {
			return fmt.Errorf("saving counters: %w", err)
		}
	}
	if _, err := out.Write(make([]byte, blockHead)); err != nil {
		return fmt.Errorf("saving counters: %w", err)
	}
	if _, err := w.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("saving counters: %w", err)
	}
	return nil
}

// blockHead is the size of the number before the records of a block.
const blockHead = 4

func (s *shard) appendBlock(block []byte, now int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	block = append(block, make([]byte, blockHead)...)
	count := uint32(0)
	for _, at := range s.index {
		if place := s.slot(at); place.state.until > now {
			block = appendRecord(block, place)
			count++
		}
	}
	binary.LittleEndian.PutUint32(block, count)
	return block
}

// Load takes over what Save has written, in place of counters with the same keys. It is all or nothing: after an error, which is ErrSnapshot if the data are not whole, no counter has changed. Counters for which there is no
// room are left out: those of a Memory that may keep fewer than the one that was saved.
func (m *Memory) Load(r io.Reader, now time.Time) error {
	records, err := readSnapshot(r)
	if err != nil {
		return fmt.Errorf("loading counters: %w", err)
	}
	us := micros(now)
	for _, saved := range records {
		if saved.state.until <= us {
			continue
		}
		s := &m.shards[m.shardOf(&saved.key)]
		s.mu.Lock()
		place := s.find(&saved.key)
		if place == nil {
			place = s.insert(&saved.key)
		}
		if place != nil {
			place.state = saved.state
		}
		s.mu.Unlock()
	}
	return nil
}

func readSnapshot(r io.Reader) ([]slot, error) {
	sum := sha256.New()
	in := bufio.NewReader(r)
	next := func(b []byte) error {
		if _, err := io.ReadFull(in, b); err != nil {
			if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
				return ErrSnapshot
			}
			return err
		}
		_, _ = sum.Write(b) // it never fails
		return nil
	}
	head := make([]byte, len(magic))
	if err := next(head); err != nil {
		return nil, err
	}
	if string(head) != magic {
		return nil, ErrSnapshot
	}
	var records []slot // grows with what is really there, whatever the numbers say
	record := make([]byte, recordSize)
	for {
		if err := next(record[:blockHead]); err != nil {
			return nil, err
		}
		count := binary.LittleEndian.Uint32(record)
		if count == 0 {
			break
		}
		for range count {
			if err := next(record); err != nil {
				return nil, err
			}
			s, ok := readRecord(record)
			if !ok {
				return nil, ErrSnapshot
			}
			records = append(records, s)
		}
	}
	want := sum.Sum(nil)
	if err := next(record[:len(want)]); err != nil {
		return nil, err
	}
	if !bytes.Equal(want, record[:len(want)]) {
		return nil, ErrSnapshot
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return nil, ErrSnapshot
	}
	return records, nil
}
