package limit

// Terms are a rule as counters of a shared store count by it, for implementations of Counters: in whole numbers below 2^53, of which doubles lose nothing.
type Terms struct {
	Algorithm Algorithm
	// Size is the most that is allowed at once.
	Size int64
	// Interval is in how many nanoseconds a Bucket gets a token.
	Interval int64
	// Period is in microseconds.
	Period int64
	// Count is how many requests the use takes; more than Size never pass, however many they are.
	Count int64
}

// Terms are those of u; ok is false if its rule allows nothing.
func (u *Use) Terms() (t Terms, ok bool) {
	own, ok := u.Rule.terms()
	if !ok {
		return Terms{}, false
	}
	return Terms{Algorithm: own.algorithm, Size: own.size, Interval: own.interval, Period: own.period, Count: min(u.count(), own.size+1)}, true
}
