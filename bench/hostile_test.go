package main

import (
	"strings"
	"testing"
)

func TestUnmoved(t *testing.T) {
	c := cell{subject: subject{Name: kindJotgate}, scenario: scenario{Name: "hostile"}}
	rounds := func(ratios ...float64) []result {
		r := result{cell: c}
		for _, ratio := range ratios {
			r.samples = append(r.samples, sample{metricHostile: ratio})
		}
		return []result{r}
	}
	for _, tt := range []struct {
		name    string
		results []result
		want    string
	}{
		{"not measured", rounds(), ""},
		{"unmoved", rounds(1.1, 0.9), ""},
		{"one noisy round", rounds(1.1, 9), ""},
		{"at the limit", rounds(2), ""},
		{"always moved", rounds(2.1, 9), "jotgate/hostile: hostile clients let the others wait 2.1 times as long, at best"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, err := range unmoved(tt.results) {
				got = append(got, err.Error())
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
