package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/predicate"
)

// maxName is the longest name in bytes.
const maxName = 200

func checkName(name, at string, report reporter) bool {
	if len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		report(at, "", "a name has at most %d characters, and no control characters", maxName)
		return false
	}
	return name != "" // the dialect has reported what is required
}

func (c *compiler) ruleName(noun, name string, names map[string]bool, report reporter) {
	if checkName(name, "name", report) && names[name] {
		report("name", "", "another %s is already called %q", noun, name)
	}
	names[name] = true
}

func (c *compiler) checkAPI(name, at string, report reporter) {
	if name == allAPIs || name == "" || c.book.apis[name] != nil {
		return
	}
	known := make([]string, 0, len(c.book.apis))
	for name := range c.book.apis {
		known = append(known, name)
	}
	report(at, suggest(name, known), "there is no api called %q", name)
}

// suggest says which name may have been meant.
func suggest(name string, known []string) string {
	slices.Sort(known)
	if near := predicate.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	if n := len(known); n > 0 && n <= 20 {
		return "known: " + strings.Join(known, ", ")
	}
	return ""
}

func (c *compiler) checkAPIs(apis []string, report reporter) {
	for i, name := range apis {
		at := fmt.Sprintf("apis[%d]", i)
		c.checkAPI(name, at, report)
		if slices.Contains(apis[:i], name) {
			report(at, "", "%s is there twice", name)
		}
		if name == allAPIs && len(apis) > 1 {
			report(at, "keep * alone", "* stands for all APIs")
		}
	}
}

// checkOperationSets reports sets that an API lacks. With "*" it is enough that one has it: at the others, the rule lets nothing through.
func (c *compiler) checkOperationSets(sets *[]string, apis []string, report reporter) {
	if sets == nil {
		return
	}
	for i, set := range *sets {
		at := fmt.Sprintf("operations[%d]", i)
		if slices.Contains((*sets)[:i], set) {
			report(at, "", "%s is there twice", set)
		}
		for _, name := range apis {
			switch api := c.book.apis[name]; {
			case name == allAPIs && !c.sets[set]:
				report(at, "", "no api has an operation set called %q", set)
			case api != nil && !hasSet(api, set):
				report(at, "", "the api %s has no operation set called %q", name, set)
			}
		}
	}
}

func hasSet(api *gate.API, name string) bool {
	return slices.ContainsFunc(api.Operations, func(s gate.OperationSet) bool { return s.Name == name })
}

func (c *compiler) checkGroups(groups []string, everyone bool, report reporter) {
	switch {
	case everyone && len(groups) > 0:
		report("everyone", "keep one of them", "groups and everyone contradict each other")
	case !everyone && len(groups) == 0:
		report("groups", "name groups, or say everyone: true", "it is not said for whom the rule is")
	}
	for i, name := range groups {
		if name == "" {
			report(fmt.Sprintf("groups[%d]", i), "", "must not be empty")
		}
	}
}

func (c *compiler) planOf(name string, report reporter) *gate.Plan {
	if name == "" {
		return nil
	}
	plan := c.book.plans[name]
	if plan == nil {
		known := make([]string, 0, len(c.book.plans))
		for name := range c.book.plans {
			known = append(known, name)
		}
		report("plan", suggest(name, known), "there is no plan called %q", name)
	}
	return plan
}

// checkLimits reports limits that no counter can keep. at is where they are, "" at the top of their noun.
func checkLimits(rate *gate.Rate, quota *gate.Quota, throttle *gate.Throttle, at string, report reporter) {
	if at != "" {
		at += "."
	}
	if rate != nil {
		checkRate(rate, at+"rate", report)
	}
	if quota != nil {
		if rule, limited := quota.Rule(); limited {
			hint := ""
			if quota.Limit < -1 {
				hint = "-1 means no limit"
			}
			checkRule(rule, at+"quota", hint, report)
		}
	}
	if throttle != nil {
		if *throttle == (gate.Throttle{}) {
			report(at+"throttle", "", "the interval and the retries are missing")
		} else if err := throttle.Hold().Valid(); err != nil {
			report(at+"throttle", "", "%v", err)
		}
	}
}

// maxRatePeriod is the longest period of a rate: what is counted for longer is a quota, which is kept.
const maxRatePeriod = 24 * time.Hour

func checkRate(r *gate.Rate, at string, report reporter) {
	if r.Period > maxRatePeriod {
		report(at+".period", "a quota has longer periods", "a rate's period is at most 24h")
	}
	if r.Period == 0 {
		report(at+".period", "for example 1s", "a rate has a period")
		return
	}
	checkRule(r.Rule(), at, "", report)
}

func checkRule(rule limit.Rule, at, hint string, report reporter) {
	if err := rule.Valid(); err != nil {
		report(at, hint, "%v", err)
	}
}
