package limit

import (
	"crypto/sha256"
	"encoding/binary"
)

// NewKey names a counter: kind says what sort of rule counts, the parts by which rule and for whom. Every part is hashed with its length, so that different parts never make
// the same text. Limits' numbers are no parts: a limit that is changed goes on with what was used.
func NewKey(kind string, parts ...string) Key {
	h := sha256.New()
	var length [8]byte
	write := func(part string) {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	write(kind)
	for _, part := range parts {
		write(part)
	}
	return Key(h.Sum(nil)[:len(Key{})])
}

// Group is the group of the counters that belong to what k names.
func (k Key) Group() Group { return Group(k[:len(Group{})]) }
