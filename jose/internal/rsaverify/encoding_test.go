package rsaverify

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
)

// power is the bare private operation: with it, any encoded message below n can be signed.
func power(private *rsa.PrivateKey, em []byte) []byte {
	p, q := private.Primes[0], private.Primes[1]
	m := new(big.Int).SetBytes(em)
	mp := new(big.Int).Exp(m, private.Precomputed.Dp, p)
	mq := new(big.Int).Exp(m, private.Precomputed.Dq, q)
	mp.Sub(mp, mq).Mul(mp, private.Precomputed.Qinv).Mod(mp, p)
	return mp.Mul(mp, q).Add(mp, mq).FillBytes(make([]byte, len(em)))
}

// agree signs an encoded message and fails if this package and crypto/rsa do not say the same of it.
func agree(t *testing.T, private *rsa.PrivateKey, key *Key, h crypto.Hash, digest, em []byte) (pkcs1, pss bool) {
	t.Helper()
	if new(big.Int).SetBytes(em).Cmp(private.N) >= 0 {
		return false, false
	}
	return agreeSigned(t, private, key, h, digest, power(private, em))
}

func agreeSigned(t *testing.T, private *rsa.PrivateKey, key *Key, h crypto.Hash, digest, signature []byte) (pkcs1, pss bool) {
	t.Helper()
	pkcs1 = key.VerifyPKCS1v15(h, digest, signature)
	if err := rsa.VerifyPKCS1v15(&private.PublicKey, h, digest, signature); pkcs1 != (err == nil) {
		t.Fatalf("PKCS1 %s %x: %v, and crypto/rsa says %v", h, signature, pkcs1, err)
	}
	pss = key.VerifyPSS(h, digest, signature)
	if err := rsa.VerifyPSS(&private.PublicKey, h, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); pss != (err == nil) {
		t.Fatalf("PSS %s %x: %v, and crypto/rsa says %v", h, signature, pss, err)
	}
	return pkcs1, pss
}

// quickest is the key of the quickest unit here, as the units are told apart elsewhere.
func quickest(tb testing.TB, bits, e int) (*rsa.PrivateKey, *Key) {
	tb.Helper()
	private := privateKey(tb, bits, e)
	key, ok := newKey(&private.PublicKey, fastest())
	if !ok {
		tb.Fatal("the key is refused")
	}
	return private, key
}

func TestPKCS1Encodings(t *testing.T) {
	for _, size := range sizes {
		private, key := quickest(t, size, 3)
		for _, h := range hashes {
			digest := digestOf(h, "message")
			info := append([]byte(prefix(h)), digest...)
			encode := func(first, block, fill byte, separator byte, info []byte) []byte {
				em := bytes.Repeat([]byte{fill}, size/8)
				em[0], em[1] = first, block
				at := len(em) - len(info)
				em[at-1] = separator
				copy(em[at:], info)
				return em
			}
			short := encode(0, 1, 0xff, 0, info)
			copy(short[11:], append(append([]byte{0}, info...), short...)) // the forgery of 2006: eight bytes of padding, rubbish after
			noNull := bytes.Clone(info)
			noNull = append(noNull[:15], noNull[17:]...)
			noNull[1] -= 2
			noNull[3] -= 2
			longForm := append([]byte{0x30, 0x81}, info[1:]...)
			cases := map[string]struct {
				em   []byte
				want bool
			}{
				"as it should be":                {encode(0, 1, 0xff, 0, info), true},
				"block type 0":                   {encode(0, 0, 0xff, 0, info), false},
				"block type 2":                   {encode(0, 2, 0xff, 0, info), false},
				"first byte 1":                   {encode(1, 1, 0xff, 0, info), false},
				"padding of zeros":               {encode(0, 1, 0, 0, info), false},
				"padding of FE":                  {encode(0, 1, 0xfe, 0, info), false},
				"separator FF":                   {encode(0, 1, 0xff, 0xff, info), false},
				"separator 1":                    {encode(0, 1, 0xff, 1, info), false},
				"padding too short":              {short, false},
				"digest without DigestInfo":      {encode(0, 1, 0xff, 0, digest), false},
				"no NULL":                        {encode(0, 1, 0xff, 0, noNull), false},
				"long form of the length":        {encode(0, 1, 0xff, 0, longForm), false},
				"a byte after the digest":        {encode(0, 1, 0xff, 0, append(bytes.Clone(info), 0)), false},
				"another digest":                 {encode(0, 1, 0xff, 0, append([]byte(prefix(h)), digestOf(h, "other")...)), false},
				"all zero":                       {make([]byte, size/8), false},
				"one":                            {big.NewInt(1).FillBytes(make([]byte, size/8)), false},
				"the encoding without its front": {append(make([]byte, 3), encode(0, 1, 0xff, 0, info)[3:]...), false},
			}
			for name, c := range cases {
				if got, _ := agree(t, private, key, h, digest, c.em); got != c.want {
					t.Errorf("%d %s, %s: %v, want %v", size, h, name, got, c.want)
				}
			}
			for i := 0; i < len(short) && size == 2048; i++ { // every byte counts
				em := encode(0, 1, 0xff, 0, info)
				em[i] ^= 1 << (i % 8)
				if new(big.Int).SetBytes(em).Cmp(private.N) < 0 && key.VerifyPKCS1v15(h, digest, power(private, em)) {
					t.Errorf("%d %s: taken with byte %d changed", size, h, i)
				}
			}
		}
	}
}

// encodePSS is EMSA-PSS-ENCODE (RFC 8017 section 9.1.1) with everything that can go wrong.
type encodePSS struct {
	salt      []byte
	separator byte
	trailer   byte
	padding   byte // of the first byte of DB, under the mask
	unused    byte // added to the highest bit
}

func (e encodePSS) encode(size int, h crypto.Hash, digest []byte) []byte {
	w := h.New()
	w.Write(make([]byte, 8))
	w.Write(digest)
	w.Write(e.salt)
	seed := w.Sum(nil)
	em := make([]byte, size)
	db := em[:size-h.Size()-1]
	at := len(db) - len(e.salt) - 1
	db[0] = e.padding
	db[at] = e.separator
	copy(db[at+1:], e.salt)
	mask := make([]byte, 0, size+64)
	for i := byte(0); len(mask) < len(db); i++ {
		w.Reset()
		w.Write(seed)
		w.Write([]byte{0, 0, 0, i})
		mask = w.Sum(mask)
	}
	for i := range db {
		db[i] ^= mask[i]
	}
	db[0] = db[0]&0x7f | e.unused
	copy(em[len(db):], seed)
	em[size-1] = e.trailer
	return em
}

func TestPSSEncodings(t *testing.T) {
	for _, size := range sizes {
		private, key := quickest(t, size, 65537)
		for _, h := range hashes {
			digest := digestOf(h, "message")
			salt := bytes.Repeat([]byte{7}, h.Size())
			cases := map[string]struct {
				encodePSS
				want bool
			}{
				"as it should be":          {encodePSS{salt, 1, 0xbc, 0, 0}, true},
				"salt of zeros":            {encodePSS{make([]byte, len(salt)), 1, 0xbc, 0, 0}, true},
				"no salt":                  {encodePSS{nil, 1, 0xbc, 0, 0}, false},
				"salt a byte short":        {encodePSS{salt[1:], 1, 0xbc, 0, 0}, false},
				"salt a byte long":         {encodePSS{append([]byte{1}, salt...), 1, 0xbc, 0, 0}, false},
				"salt long, first byte 1":  {encodePSS{append([]byte{1, 1}, salt...), 0, 0xbc, 0, 0}, false},
				"separator 0":              {encodePSS{salt, 0, 0xbc, 0, 0}, false},
				"separator 2":              {encodePSS{salt, 2, 0xbc, 0, 0}, false},
				"trailer CC":               {encodePSS{salt, 1, 0xcc, 0, 0}, false},
				"trailer BD":               {encodePSS{salt, 1, 0xbd, 0, 0}, false},
				"padding is not zero":      {encodePSS{salt, 1, 0xbc, 0x10, 0}, false},
				"the unused bit is masked": {encodePSS{salt, 1, 0xbc, 0x80, 0}, true}, // step 9 clears it
				"the unused bit is set":    {encodePSS{salt, 1, 0xbc, 0, 0x80}, false},
			}
			for name, c := range cases {
				if _, got := agree(t, private, key, h, digest, c.encode(size/8, h, digest)); got != c.want {
					t.Errorf("%d %s, %s: %v, want %v", size, h, name, got, c.want)
				}
			}
			good := encodePSS{salt, 1, 0xbc, 0, 0}.encode(size/8, h, digest)
			for bit := range 8 * len(good) { // every bit counts
				em := bytes.Clone(good)
				em[bit/8] ^= 1 << (bit % 8)
				if consistentPSS(em, h, digest) {
					t.Errorf("%d %s: taken with bit %d changed", size, h, bit)
				}
			}
		}
	}
}

// FuzzVerify signs what the fuzzer makes of encoded messages, and compares with crypto/rsa.
func FuzzVerify(f *testing.F) {
	private, _ := quickest(f, 2048, 65537)
	for i, h := range hashes {
		digest := digestOf(h, "message")
		f.Add(uint8(i), false, encodePKCS1v15(make([]byte, 256), prefix(h), digest))
		f.Add(uint8(i), false, encodePSS{digest, 1, 0xbc, 0, 0}.encode(256, h, digest))
		signature, err := rsa.SignPSS(rand.Reader, private, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), true, signature)
	}
	f.Add(uint8(0), true, private.N.Bytes())
	f.Fuzz(func(t *testing.T, choice uint8, isSignature bool, data []byte) {
		h := hashes[int(choice)%len(hashes)]
		digest := digestOf(h, "message")
		signature := data
		if !isSignature {
			if len(data) != 256 || new(big.Int).SetBytes(data).Cmp(private.N) >= 0 {
				return
			}
			signature = power(private, data)
		}
		for _, u := range available() {
			key, _ := newKey(&private.PublicKey, u)
			agreeSigned(t, private, key, h, digest, signature)
		}
	})
}
