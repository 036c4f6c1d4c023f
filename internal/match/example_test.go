package match_test

import (
	"fmt"

	"github.com/jotgate/jotgate/internal/match"
)

func ExampleNewTable() {
	var entries []match.Entry[int]
	for name, source := range map[string]string{
		"tickets": "Host(`api.example.com`) && PathPrefix(`/tickets`)",
		"admin":   "Host(`api.example.com`) && PathPrefix(`/tickets/admin`)",
		"rest":    "Host(`*.example.com`)",
	} {
		rule, err := match.Parse(source)
		if err != nil {
			panic(err)
		}
		entries = append(entries, match.Entry[int]{Name: name, Rule: rule})
	}
	table := match.NewTable(entries)
	for _, target := range [][2]string{
		{"API.example.com.:443", "/tickets/7"}, {"api.example.com", "/tickets/x/../%61dmin"}, {"www.example.com", "/"}, {"a.b.example.com", "/"},
	} {
		host, err := match.CanonicalHost(target[0])
		if err != nil {
			panic(err)
		}
		path, err := match.CanonicalPath(target[1])
		if err != nil {
			panic(err)
		}
		_, name, ok := table.Lookup(&match.Request{Method: "GET", Host: host, Path: path.Routing})
		fmt.Printf("%s%s: %q %v\n", host, path.Forward, name, ok)
	}
	// Output:
	// api.example.com/tickets/7: "tickets" true
	// api.example.com/tickets/admin: "admin" true
	// www.example.com/: "rest" true
	// a.b.example.com/: "" false
}

func ExampleCanonicalPath() {
	for _, sent := range []string{"/a/../%61dmin", "/files/foo%20bar%2Fbaz", "/public%2fadmin", "/public/..;/admin"} {
		path, err := match.CanonicalPath(sent)
		if err != nil {
			fmt.Println(sent, err)
			continue
		}
		fmt.Println(sent, "is judged as", path.Routing, "and forwarded as", path.Forward, path.Ambiguous())
	}
	// Output:
	// /a/../%61dmin is judged as /admin and forwarded as /admin false
	// /files/foo%20bar%2Fbaz is judged as /files/foo bar%2Fbaz and forwarded as /files/foo%20bar%2Fbaz true
	// /public%2fadmin is judged as /public%2Fadmin and forwarded as /public%2Fadmin true
	// /public/..;/admin path refused: a dot segment in disguise
}
