package redis

import (
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/jotgate/jotgate/internal/limit"
)

//go:embed counters.lua
var countersLua string

// Counters are counters that several gateways share: exact, by the clock of the server, in one round trip for all uses of a Group. Uses of several groups are taken group by group, and given back if a later group
// refuses; meanwhile others may be refused for what is given back then. Counters that hold nothing vanish a minute later. The methods return when their context is over.
type Counters struct {
	client *Client
	script *script
	prefix string
	clock  func() string // "" for the server's
}

var _ limit.Counters = (*Counters)(nil)

// NewCounters makes counters on c's servers, under its prefix.
func NewCounters(c *Client) *Counters {
	return &Counters{client: c, script: newScript("counting", countersLua), prefix: c.options.Prefix + "limit:{", clock: func() string { return "" }}
}

// What the script is asked to do.
const (
	actionTake   = "take"
	actionPeek   = "peek"
	actionReturn = "return"
	actionReset  = "reset"
)

// Take implements limit.Counters. now is not used.
func (c *Counters) Take(ctx context.Context, _ time.Time, uses []limit.Use, out []limit.Outcome) (refused int, err error) {
	start := time.Now()
	groups := groupsOf(uses)
	for i, group := range groups {
		refused, err := c.call(ctx, actionTake, 0, group, out)
		if err != nil {
			return -1, err
		}
		if refused < 0 {
			continue
		}
		for n, other := range groups {
			switch {
			case n < i:
				_, err = c.call(ctx, actionReturn, time.Since(start), other, out)
			case n > i:
				_, err = c.call(ctx, actionPeek, 0, other, out)
			}
			if err != nil {
				return -1, err
			}
		}
		return firstRefusal(uses, out, refused), nil
	}
	return -1, nil
}

// firstRefusal is the index of the first use that refuses; of a use that was taken and given back the outcome may say so although the group let it pass.
func firstRefusal(uses []limit.Use, out []limit.Outcome, otherwise int) int {
	for i := range uses {
		if !out[i].Allowed && !uses[i].DryRun {
			return i
		}
	}
	return otherwise
}

// Peek implements limit.Counters. now is not used.
func (c *Counters) Peek(ctx context.Context, _ time.Time, uses []limit.Use, out []limit.Outcome) error {
	return c.each(ctx, actionPeek, 0, uses, out)
}

// Return implements limit.Counters. now is not used.
func (c *Counters) Return(ctx context.Context, _ time.Time, held time.Duration, uses []limit.Use) error {
	return c.each(ctx, actionReturn, held, uses, make([]limit.Outcome, len(uses)))
}

// Reset implements limit.Counters.
func (c *Counters) Reset(ctx context.Context, uses []limit.Use) error {
	return c.each(ctx, actionReset, 0, uses, nil)
}

func (c *Counters) each(ctx context.Context, action string, held time.Duration, uses []limit.Use, out []limit.Outcome) error {
	for _, group := range groupsOf(uses) {
		if _, err := c.call(ctx, action, held, group, out); err != nil {
			return err
		}
	}
	return nil
}

// member is a use and its place among all uses of a call.
type member struct {
	use *limit.Use
	at  int
}

// groupsOf splits uses by their Group, in the order in which these appear.
func groupsOf(uses []limit.Use) [][]member {
	var groups [][]member
next:
	for i := range uses {
		m := member{&uses[i], i}
		for n := range groups {
			if groups[n][0].use.Group == m.use.Group {
				groups[n] = append(groups[n], m)
				continue next
			}
		}
		groups = append(groups, []member{m})
	}
	return groups
}

// call runs the script for the uses of one group, and puts their outcomes in their places in out. refused is a place, too, or -1.
func (c *Counters) call(ctx context.Context, action string, held time.Duration, group []member, out []limit.Outcome) (refused int, err error) {
	const each = 6
	keys := make([]string, 0, len(group))
	args := make([]string, 0, 3+each*len(group))
	args = append(args, action, c.clock(), strconv.FormatInt(micros(held), 10))
	for _, m := range group {
		keys = append(keys, c.key(m.use))
		args = appendUse(args, m.use)
	}
	answer, err := c.client.eval(ctx, c.script, keys, args)
	if err != nil || action == actionReset {
		return -1, err
	}
	numbers, err := answer.AsIntSlice()
	const fields = 4
	if err != nil || len(numbers) != 1+fields*len(group) {
		return -1, errors.Join(errors.New("counting in Redis: the answer is not that of the script"), err)
	}
	for i, m := range group {
		n := numbers[1+i*fields:]
		size := int64(0)
		if t, ok := m.use.Terms(); ok {
			size = t.Size
		}
		out[m.at] = limit.Outcome{Allowed: n[0] == 1, Limit: size, Remaining: n[1], Reset: span(n[2]), RetryAfter: span(n[3])}
	}
	if refused = int(numbers[0]); refused >= 0 && refused < len(group) {
		return group[refused].at, nil
	}
	return -1, nil
}

// key has the group in braces: a Cluster keeps what is the same there in one place.
func (c *Counters) key(u *limit.Use) string {
	return c.prefix + hex.EncodeToString(u.Group[:]) + "}:" + hex.EncodeToString(u.Key[:])
}

func appendUse(args []string, u *limit.Use) []string {
	dry := "0"
	if u.DryRun {
		dry = "1"
	}
	t, ok := u.Terms()
	if !ok {
		return append(args, "-1", "0", "0", "0", "1", dry)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return append(args, number(int64(t.Algorithm)), number(t.Size), number(t.Interval), number(t.Period), number(t.Count), dry)
}

// micros is a time that has passed in microseconds, rounded up.
func micros(d time.Duration) int64 {
	us := int64(max(d, 0) / time.Microsecond)
	if d > span(us) {
		us++
	}
	return us
}

// span is a number of microseconds as a duration; -1 stands for never.
func span(us int64) time.Duration {
	if us < 0 {
		return -1
	}
	return time.Duration(us) * time.Microsecond
}
