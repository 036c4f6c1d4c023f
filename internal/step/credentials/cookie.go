package credentials

import (
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// cookie is a place in a cookie. A request may have several Cookie lines (RFC 9113 section 8.2.3).
type cookie struct{ name string }

func (c *cookie) String() string { return "cookie " + c.name }

// find refuses a cookie that is there twice: browsers send both when they were set for different paths or domains, and who reads which is a guess.
func (c *cookie) find(x *gate.Exchange) (string, error) {
	token, found := "", false
	for i := range x.In {
		if !gate.EqualName(x.In[i].Name, "Cookie") {
			continue
		}
		for pair := range strings.SplitSeq(x.In[i].Value, ";") {
			value, ok := c.value(pair)
			if !ok {
				continue
			}
			if found {
				return "", ambiguous(c.String() + ", repeated")
			}
			token, found = value, true
		}
	}
	return token, nil
}

// value returns the value of a cookie-pair that has the name (RFC 6265 section 4.2.1), without the quotes around it.
func (c *cookie) value(pair string) (string, bool) {
	name, value, _ := strings.Cut(pair, "=")
	if strings.Trim(name, " \t") != c.name {
		return "", false
	}
	value = strings.Trim(value, " \t")
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return value, true
}

// strip removes the cookie and leaves the others in their order. A line that is empty then goes.
func (c *cookie) strip(x *gate.Exchange) {
	lines := x.Out[:0]
	for _, f := range x.Out {
		if gate.EqualName(f.Name, "Cookie") {
			value, had := c.without(f.Value)
			if had && value == "" {
				continue
			}
			f.Value = value
		}
		lines = append(lines, f)
	}
	clear(x.Out[len(lines):])
	x.Out = lines
}

// without returns a cookie-string without the cookie, unchanged if it has none.
func (c *cookie) without(line string) (rest string, had bool) {
	var kept []string
	for pair := range strings.SplitSeq(line, ";") {
		if _, ok := c.value(pair); ok {
			had = true
			continue
		}
		if pair = strings.Trim(pair, " \t"); pair != "" {
			kept = append(kept, pair)
		}
	}
	if !had {
		return line, false
	}
	return strings.Join(kept, "; "), true
}
