package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// bar is one value of a chart.
type bar struct {
	label string
	own   bool // jotgate's
	value spread
}

// chart is a bar chart: one horizontal bar for each value, with a line from its minimum to its maximum.
type chart struct {
	file  string
	title string
	unit  string
	bars  []bar
}

// Measures of a chart, in pixels.
const (
	chartWidth  = 860
	labelWidth  = 330
	valueWidth  = 120
	rowHeight   = 26
	titleHeight = 44
)

// svg draws the chart. It fits light and dark pages.
func (c chart) svg() string {
	height := titleHeight + rowHeight*len(c.bars) + 12
	largest := 0.0
	for _, b := range c.bars {
		largest = math.Max(largest, b.value.Max)
	}
	if largest <= 0 {
		largest = 1
	}
	scale := float64(chartWidth-labelWidth-valueWidth) / largest
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, height, chartWidth, height, html.EscapeString(c.title))
	s.WriteString(`
<style>
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 16px }
.own { fill: #0a7d4f }
.peer { fill: #8794a5 }
.range { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .own { fill: #2eb67d } .peer { fill: #6b7888 } .range { stroke: #e6edf3 } }
</style>
`)
	fmt.Fprintf(&s, "<text class=\"title\" x=\"12\" y=\"26\">%s, %s</text>\n", html.EscapeString(c.title), html.EscapeString(c.unit))
	for i, b := range c.bars {
		y := titleHeight + i*rowHeight
		middle := y + rowHeight/2
		class := "peer"
		if b.own {
			class = "own"
		}
		fmt.Fprintf(&s, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labelWidth-10, middle+5, html.EscapeString(b.label))
		fmt.Fprintf(&s, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", class, labelWidth, y+4, b.value.Median*scale, rowHeight-8)
		if b.value.Rounds > 1 {
			fmt.Fprintf(&s, "<line class=\"range\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", labelWidth+b.value.Min*scale, middle, labelWidth+b.value.Max*scale, middle)
		}
		fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", labelWidth+b.value.Max*scale+8, middle+5, number(b.value.Median))
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// charts are those of the report that have anything to show.
func (r *report) charts() []chart {
	var all []chart
	add := func(file, title, unit, metric string, factor float64, scenarios ...string) {
		c := chart{file: file + ".svg", title: title, unit: unit}
		for _, name := range scenarios {
			for i := range r.results {
				result := &r.results[i]
				if result.cell.scenario.Name != name || !result.has(metric) {
					continue
				}
				label := result.cell.subject.Name
				if len(scenarios) > 1 {
					label += ", " + name
				}
				c.bars = append(c.bars, bar{label, result.cell.subject.Kind == kindJotgate, result.spread(metric).times(factor)})
			}
		}
		if len(c.bars) > 0 {
			all = append(all, c)
		}
	}
	add("plain", "CPU time of a request without a token, at saturation", "µs", metricCPU, 1, "plain")
	add("rs256", "CPU time of a request with RS256, at saturation", "µs", metricCPU, 1, "rs256-seen", "rs256-10000", "rs256-unseen", "rs256-full")
	add("algorithms", "CPU time of a request with other algorithms", "µs", metricCPU, 1, "es256-seen", "es256-unseen", "hs256-seen", "hs256-unseen")
	add("tls", "CPU time of a request over TLS", "µs", metricCPU, 1, "tls-plain", "tls-rs256-seen")
	add("rate", "CPU time of a request at 5,000 a second", "µs", "5000/"+metricCPU, 1, "plain", "rs256-seen")
	add("latency", "99th percentile of latency at 20,000 requests a second", "µs", "20000/"+metricP99, 1, "plain", "rs256-seen")
	add("large", "CPU time of a request with a body of 128 kB", "µs", metricCPU, 1, "large")
	add("connection", "Memory of an idle connection", "kB", metricConnection, 1e-3, "memory")
	return all
}
