package limit

import (
	"crypto/sha256"
	"encoding/binary"
)

// Key names one counter: a hash of who is counted and by which rule. Two gateways that share a store make the same key of the same names.
type Key [16]byte

// NewKey names a counter: kind says what sort of rule counts, the parts by which rule and for whom. Every part is hashed with its length, so that different parts never make
// the same text. Limits' numbers are no parts: a limit that is changed goes on with what was used. It does not allocate unless the parts are long.
func NewKey(kind string, parts ...string) Key {
	text := AppendPart(make([]byte, 0, 512), kind)
	for _, part := range parts {
		text = AppendPart(text, part)
	}
	return SumKey(text)
}

// Group is the group of the counters that belong to what k names.
func (k Key) Group() Group { return Group(k[:len(Group{})]) }

// AppendPart appends a part of a key to text, for keys that are made of what is at hand: SumKey of the parts is NewKey of the same.
func AppendPart[T ~string | ~[]byte](text []byte, part T) []byte {
	text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
	return append(text, part...)
}

// SumKey is the key of the parts in text.
func SumKey(text []byte) Key {
	sum := sha256.Sum256(text)
	return Key(sum[:len(Key{})])
}
