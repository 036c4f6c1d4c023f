package limit

import (
	"crypto/sha256"
	"encoding/binary"
)

// Sealed is a snapshot of the records in data, whatever they say.
func Sealed(data []byte) []byte {
	b := []byte(magic)
	if n := len(data) / recordSize; n > 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
		b = append(b, data[:n*recordSize]...)
	}
	b = append(b, make([]byte, blockHead)...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}
