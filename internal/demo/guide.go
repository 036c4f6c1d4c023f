package demo

import (
	"fmt"
	"strings"
)

// Step is something to try: what it shows, and the command to paste into bash or zsh.
type Step struct {
	// Text is one sentence.
	Text string
	// Command is one or more lines of shell.
	Command string
	// Status is the HTTP status that the command's answer has; 0 if the command is not about one answer.
	Status int
}

// Places are the addresses of the parts of a demonstration, host:port, the path of its configuration file and the command that runs jotgate.
type Places struct {
	Gateway, Admin, Provider, Upstream, Config, Program string
}

// Helper is the shell function that the steps use to get a token. Its arguments are further arguments of curl.
func (p Places) Helper() string {
	return `token() { curl -s -u demo:demo-secret -H 'Accept: text/plain' \
  -d grant_type=client_credentials "$@" http://` + p.Provider + `/token; }`
}

// Steps are what there is to try, in order. They need Helper to be defined.
func (p Places) Steps() []Step {
	api := "http://" + p.Gateway + "/tickets"
	with := func(arguments, rest string) string {
		return fmt.Sprintf("curl -i -H \"Authorization: Bearer $(token%s)\" \\\n  %s%s", arguments, rest, api)
	}
	return []Step{
		{"A good token: the request passes, and the API sees who calls.", with("", ""), 200},
		{"No token.", "curl -i " + api, 401},
		{"A token that expired a minute ago.", with(" -d ttl=-60", ""), 401},
		{"A token for another audience.", with(" -d audience=invoices", ""), 401},
		{"A good token whose claims are not enough to write.", with("", `-d '{"flightCode":"TL456"}' `), 403},
		{"The same with the group that may write.", with(" -d grp=admin", `-d '{"flightCode":"TL456"}' `), 201},
		{"A public path needs no token.", "curl -i " + api + "/health", 200},
		{"A client cannot pass itself off as somebody else: X-User is still demo.", with("", "-H 'X-User: root' "), 200},
		{"Keep a token, then let the identity provider change its keys.", "OLD=$(token); curl -i -X POST http://" + p.Provider + "/rotate", 200},
		{"The old token is still good.", "curl -i -H \"Authorization: Bearer $OLD\" \\\n  " + api, 200},
		{"And a token with the new key is good at once.", with("", ""), 200},
		{"Why is a token refused?", "token -d audience=invoices | " + p.Program + " explain \\\n  --config " + p.Config + " --token - GET " + api, 0},
		{"The state of the gateway.", "curl -i http://" + p.Admin + "/status", 200},
		{"What it counts: requests by API and by the reason of their refusal.", "curl -s http://" + p.Admin + "/metrics | grep ^jotgate_requests_total", 0},
	}
}

// Guide is the text that the demonstration prints.
func (p Places) Guide() string {
	var b strings.Builder
	fmt.Fprintf(&b, `jotgate guards a small API. Everything listens on this machine only.

  gateway            http://%s
  admin              http://%s
  identity provider  http://%s
  tickets API        http://%s
  configuration      %s

Paste the following into another terminal (bash or zsh). First a function that
asks the identity provider for a token:

%s
`, p.Gateway, p.Admin, p.Provider, p.Upstream, p.Config, indent(p.Helper()))
	for i, step := range p.Steps() {
		expected := ""
		if step.Status != 0 {
			expected = fmt.Sprintf(" Expect %d.", step.Status)
		}
		fmt.Fprintf(&b, "\n%d. %s%s\n%s\n", i+1, step.Text, expected, indent(step.Command))
	}
	b.WriteString("\nEdit the configuration file, and the gateway takes it over when it is saved.\n" +
		"Ctrl-C ends it all. What follows is one line for each request.\n\n")
	return b.String()
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
