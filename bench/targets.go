package main

// target is a promise about jotgate: a value, or its ratio to another's in the same rounds, is at most so much.
type target struct {
	text     string
	scenario string
	metric   string
	over     string // the subject to compare with: a peer, overSelf, or "" for the value itself
	overCase string // its scenario
	atMost   float64
	unit     string  // of a value; ratios have none
	scale    float64 // from the metric to the unit; 0: 1
}

// overSelf compares jotgate with itself in another scenario.
const overSelf = "self"

// targets is what jotgate is judged by.
func targets(m machine) []target {
	unseen := target{"RS256, each token once, without AVX-512 IFMA / HAProxy RS256", "rs256-unseen", metricCPU, kindHAProxy, "rs256-unseen", 0.80, "", 0}
	if m.ifma() {
		unseen.text, unseen.atMost = "RS256, each token once, with AVX-512 IFMA / HAProxy RS256", 0.60
	}
	return []target{
		{"no token / HAProxy, at saturation", "plain", metricCPU, kindHAProxy, "plain", 0.95, "", 0},
		{"no token / HAProxy, at 5,000 requests a second", "plain", "5000/" + metricCPU, kindHAProxy, "plain", 0.75, "", 0},
		{"RS256, token seen / HAProxy RS256", "rs256-seen", metricCPU, kindHAProxy, "rs256-seen", 0.36, "", 0},
		{"RS256, token seen / HAProxy without a token", "rs256-seen", metricCPU, kindHAProxy, "plain", 1.0, "", 0},
		{"RS256, token seen, everything on / HAProxy RS256", "rs256-full", metricCPU, kindHAProxy, "rs256-seen", 0.45, "", 0},
		unseen,
		{"ES256, each token once, with a table of the key / HAProxy ES256", "es256-unseen", metricCPU, kindHAProxy, "es256-unseen", 0.5, "", 0},
		{"HS256, each token once / HAProxy HS256", "hs256-unseen", metricCPU, kindHAProxy, "hs256-unseen", 0.75, "", 0},
		{"TLS, RS256, token seen / HAProxy TLS and RS256", "tls-rs256-seen", metricCPU, kindHAProxy, "tls-rs256-seen", 0.45, "", 0},
		{"10,000 APIs / 10 APIs, no token", "apis-10000", metricCPU, overSelf, "apis-10", 1.1, "", 0},
		{"10,000 APIs / 10 APIs, RS256", "rs256-apis-10000", metricCPU, overSelf, "rs256-apis-10", 1.1, "", 0},
		{"bodies of 128 kB / HAProxy", "large", metricCPU, kindHAProxy, "large", 0.85, "", 0},
		{"p99 at 20,000 requests a second, RS256, token seen / HAProxy RS256", "rs256-seen", "20000/" + metricP99, kindHAProxy, "rs256-seen", 1.0, "", 0},
		{"allocations a request, RS256, token seen: none but those of the load's 64 new connections and of the runtime", "rs256-seen", metricAllocs, "", "", 0.2, "", 0},
		{"the same with everything on", "rs256-full", metricAllocs, "", "", 0.2, "", 0},
		{"p99 of good requests, beside thousands of hostile clients / without them", "hostile", metricHostile, "", "", hostileMost, "", 0},
		{"idle keep-alive connection", "memory", metricConnection, "", "", 4.5, "kB", 1e-3},
		{"memory with 64 busy connections, cache off", "rs256-memory", metricLoaded, "", "", 25, "MB", 1e-6},
		{"from exec to the first 200, static key", "rs256-memory", metricFirst, "", "", 40, "ms", 0},
	}
}

// verdict is a target as one engine of jotgate meets it.
type verdict struct {
	value spread // the median of a ratio is that of the medians; its extremes are those of the rounds
	known bool
	late  string // the subject, if any, that did not keep up with the rate of the open loop
	met   bool
}

// heldEnough is the share of an open loop's rate below which its figures are those of an overloaded proxy.
const heldEnough = 0.98

// judge compares what was measured of a jotgate subject with a target.
func judge(t target, own string, results []result) verdict {
	values, held := roundsOf(results, own, t.scenario, t.metric)
	if len(values) == 0 {
		return verdict{}
	}
	v := verdict{known: true, value: spreadOf(values)}
	if !held {
		v.late = own
	}
	if t.over != "" {
		over := t.over
		if over == overSelf {
			over = own
		}
		base, baseHeld := roundsOf(results, over, t.overCase, t.metric)
		if len(base) != len(values) {
			return verdict{}
		}
		if held && !baseHeld {
			v.late = over
		}
		v.value = ratio(values, base)
	} else if t.scale != 0 {
		v.value = spread{Median: v.value.Median * t.scale, Min: v.value.Min * t.scale, Max: v.value.Max * t.scale, Rounds: v.value.Rounds}
	}
	v.met = v.late == "" && v.value.Median <= t.atMost
	return v
}

// ratio is the ratio of the medians, with the extremes of the ratios round by round.
func ratio(values, base []float64) spread {
	each := make([]float64, len(values))
	for i := range values {
		each[i] = values[i] / base[i]
	}
	r := spreadOf(each)
	r.Median = spreadOf(values).Median / spreadOf(base).Median
	return r
}

// roundsOf returns the values of a metric in all rounds, and whether the open loop that they come from, if any, held its rate in most of them.
func roundsOf(results []result, subject, scenario, metric string) (values []float64, held bool) {
	var shares []float64
	for _, r := range results {
		if r.cell.subject.Name != subject || r.cell.scenario.Name != scenario {
			continue
		}
		for _, s := range r.samples {
			if v, ok := s[metric]; ok {
				values = append(values, v)
			}
			if share, ok := s[ratePrefix(metric)+metricHeld]; ok {
				shares = append(shares, share)
			}
		}
	}
	return values, len(shares) == 0 || spreadOf(shares).Median >= heldEnough
}
