package gate

import (
	"fmt"

	"github.com/jotgate/jotgate/internal/limit"
)

// Rule is the rate as package limit counts it. Rule.Valid says what is wrong with it.
func (r *Rate) Rule() limit.Rule {
	return limit.Rule{Algorithm: algorithm(r.Algorithm, limit.Bucket), Limit: r.Limit, Period: r.Period, Burst: r.Burst}
}

// Rule is the quota as package limit counts it; limited is false if there is no limit. Rule.Valid says what is wrong with it.
func (q *Quota) Rule() (rule limit.Rule, limited bool) {
	if q.Limit == -1 {
		return limit.Rule{}, false
	}
	return limit.Rule{Algorithm: algorithm(q.Algorithm, limit.FixedWindow), Limit: q.Limit, Period: q.Period}, true
}

// unknownAlgorithm is no algorithm: rules that have it are not valid.
const unknownAlgorithm limit.Algorithm = 255

func algorithm(name string, otherwise limit.Algorithm) limit.Algorithm {
	switch name {
	case "":
		return otherwise
	case AlgorithmBucket:
		return limit.Bucket
	case AlgorithmFixedWindow:
		return limit.FixedWindow
	case AlgorithmSlidingWindow:
		return limit.SlidingWindow
	}
	return unknownAlgorithm
}

// Hold is the throttle as a limit.Use has it; that of nil holds nothing. Throttle.Valid says what is wrong with it.
func (t *Throttle) Hold() limit.Throttle {
	if t == nil {
		return limit.Throttle{}
	}
	return limit.Throttle{Wait: t.Interval, Retries: t.Retries}
}

// ParseFailure reads what happens while a shared store cannot be asked: local, allow, deny, or nothing for limit.FailureDefault.
func ParseFailure(text string) (limit.Failure, error) {
	switch text {
	case "":
		return limit.FailureDefault, nil
	case FailureLocal:
		return limit.FailureLocal, nil
	case FailureAllow:
		return limit.FailureAllow, nil
	case FailureDeny:
		return limit.FailureDeny, nil
	}
	return limit.FailureDeny, fmt.Errorf("%q is not local, allow or deny", text)
}
