package rsaverify

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
)

// The DER prefixes of DigestInfo, each a SEQUENCE of the hash with NULL parameters and the
// head of the OCTET STRING for the digest (RFC 8017 section 9.2 note 1).
const (
	prefixSHA256 = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	prefixSHA384 = "\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
	prefixSHA512 = "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
)

func prefix(h crypto.Hash) string {
	switch h {
	case crypto.SHA256:
		return prefixSHA256
	case crypto.SHA384:
		return prefixSHA384
	case crypto.SHA512:
		return prefixSHA512
	default:
		return ""
	}
}

// known reports whether digest can be one of h, which must be SHA-256, SHA-384 or SHA-512.
func known(h crypto.Hash, digest []byte) bool {
	return prefix(h) != "" && len(digest) == h.Size()
}

// VerifyPKCS1v15 is RSASSA-PKCS1-V1_5-VERIFY (RFC 8017 section 8.2.2) of a message with this
// digest; h is SHA-256, SHA-384 or SHA-512, with any other the result is false.
// The encoded message is made anew and compared as a whole: nothing in the signature is parsed.
func (k *Key) VerifyPKCS1v15(h crypto.Hash, digest, signature []byte) bool {
	if !known(h, digest) {
		return false
	}
	var opened, made [maxBytes]byte
	em, ok := k.open(&opened, signature)
	return ok && bytes.Equal(em, encodePKCS1v15(made[:k.size], prefix(h), digest))
}

// encodePKCS1v15 is EMSA-PKCS1-v1_5 (section 9.2): 00 01 FF...FF 00 DigestInfo. em is longer
// than prefix and digest by far more than the 11 bytes that are needed.
func encodePKCS1v15(em []byte, prefix string, digest []byte) []byte {
	separator := len(em) - len(prefix) - len(digest) - 1
	em[0], em[1] = 0, 1
	for i := 2; i < separator; i++ {
		em[i] = 0xff
	}
	em[separator] = 0
	copy(em[separator+1:], prefix)
	copy(em[separator+1+len(prefix):], digest)
	return em
}

// VerifyPSS is RSASSA-PSS-VERIFY (RFC 8017 section 8.1.2) of a message with this digest, with
// MGF1 of the same hash and a salt as long as the hash; h is SHA-256, SHA-384 or SHA-512,
// with any other the result is false.
func (k *Key) VerifyPSS(h crypto.Hash, digest, signature []byte) bool {
	if !known(h, digest) {
		return false
	}
	var opened [maxBytes]byte
	em, ok := k.open(&opened, signature)
	return ok && consistentPSS(em, h, digest)
}

// consistentPSS is EMSA-PSS-VERIFY (section 9.1.2) for a modulus whose bits are a multiple of
// eight: emBits is one less, so emLen is len(em) and exactly the highest bit of em is unused.
// With 2048 bits and more emLen is never too small for the hash (step 3). It changes em.
func consistentPSS(em []byte, h crypto.Hash, digest []byte) bool {
	hashLen := h.Size()
	if em[len(em)-1] != 0xbc { // step 4
		return false
	}
	db, seed := em[:len(em)-hashLen-1], em[len(em)-hashLen-1:len(em)-1] // step 5
	if db[0]&0x80 != 0 {                                                // step 6
		return false
	}
	unmask(db, h, seed) // steps 7 and 8
	db[0] &= 0x7f       // step 9
	padding, salt := db[:len(db)-hashLen-1], db[len(db)-hashLen:]
	for _, b := range padding { // step 10
		if b != 0 {
			return false
		}
	}
	if db[len(padding)] != 1 {
		return false
	}
	var message [8 + 2*sha512.Size]byte // steps 12 and 13: eight zeros, digest, salt
	m := append(append(message[:8], digest...), salt...)
	var sum [sha512.Size]byte
	return bytes.Equal(hash(&sum, h, m), seed) // step 14
}

// unmask is the exclusive or of db with MGF1 of seed (appendix B.2.1).
func unmask(db []byte, h crypto.Hash, seed []byte) {
	var input [sha512.Size + 4]byte
	n := copy(input[:], seed)
	var sum [sha512.Size]byte
	for counter := uint32(0); len(db) > 0; counter++ {
		binary.BigEndian.PutUint32(input[n:], counter)
		for i, b := range hash(&sum, h, input[:n+4]) {
			if i == len(db) {
				return
			}
			db[i] ^= b
		}
		db = db[min(h.Size(), len(db)):]
	}
}

// hash writes the hash of data to sum without going through hash.Hash, which allocates.
func hash(sum *[sha512.Size]byte, h crypto.Hash, data []byte) []byte {
	switch h {
	case crypto.SHA384:
		d := sha512.Sum384(data)
		return sum[:copy(sum[:], d[:])]
	case crypto.SHA512:
		*sum = sha512.Sum512(data)
		return sum[:]
	default:
		d := sha256.Sum256(data)
		return sum[:copy(sum[:], d[:])]
	}
}
