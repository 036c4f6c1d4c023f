package jose

import "math/big"

// infineonPrimes are the odd primes below 168. The flawed generator made primes of
// the form k*M + (65537^a mod M), where M is a product of the first primes, these
// always among them. So a modulus, too, is a power of 65537 modulo each.
var infineonPrimes = [...]uint32{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71,
	73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// madeByInfineon reports whether n carries the fingerprint of CVE-2017-15361 (ROCA):
// whether some a exists with n = 65537^a modulo the product of the primes. For each
// prime the logarithm is found by counting; one a serves all of them if and only if
// every two logarithms agree modulo the greatest common divisor of their orders. An
// honest modulus passes by accident with a probability of about 2^-154.
func madeByInfineon(n *big.Int) bool {
	type residue struct{ log, order uint32 }
	found := make([]residue, 0, len(infineonPrimes))
	var modulus, rest big.Int
	for _, p := range infineonPrimes {
		r := uint32(rest.Mod(n, modulus.SetUint64(uint64(p))).Uint64())
		log, order, ok := discreteLog(r, p)
		if !ok {
			return false
		}
		for _, f := range found {
			if g := gcd(order, f.order); log%g != f.log%g {
				return false
			}
		}
		found = append(found, residue{log, order})
	}
	return true
}

// discreteLog returns a with 65537^a = r modulo p, and the order of 65537.
func discreteLog(r, p uint32) (log, order uint32, ok bool) {
	g := 65537 % p
	for power := uint32(1); ; {
		if power == r {
			log, ok = order, true
		}
		order++
		if power = power * g % p; power == 1 {
			return log, order, ok
		}
	}
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
