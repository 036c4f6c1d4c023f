package gate

// Check is one check of a verdict.
type Check struct {
	// Name says what was checked, for example "signature" or "audience".
	Name string
	// Reason is the code with which the check refused; "" if it passed.
	Reason Reason
	// Expected and Got are what was wanted and what was found. Got of a check with Claim set is a claim's value: whoever prints it asks first.
	Expected, Got string
	// Claim says that Got holds the value of a claim.
	Claim bool
}

// Trace collects the checks of one request for an explanation. The nil Trace collects nothing, at no cost; callers that would have to build strings
// ask whether it is nil first.
type Trace struct{ Checks []Check }

// Record adds a check.
func (t *Trace) Record(c Check) {
	if t != nil {
		t.Checks = append(t.Checks, c)
	}
}
