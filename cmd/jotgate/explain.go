package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/source/file"
)

// explanation is what an explain command line asks for.
type explanation struct {
	config, api string
	request     requestFlags
	showClaims  bool
	json        bool
	timeout     time.Duration
}

func newExplainCommand() *cobra.Command {
	var e explanation
	cmd := &cobra.Command{
		Use:   "explain --config FILE [METHOD] URL",
		Short: "Show why a request would be let through or refused, check by check",
		Long: `Take a request through the gateway that a configuration describes, without sending anything to an upstream, and show every check: the API that it is
routed to, where the token was found, and what each check expected and got. Keys are fetched as the gateway would fetch them.

The exit code is 0 if the request would be forwarded, 1 if it would be refused. Values of claims are hidden unless --show-claims is given.`,
		Example: `  jotgate explain --config jotgate.yaml --token @token.txt GET https://api.example.com/tickets
  jotgate explain --config jotgate.yaml --token - --request 'POST /tickets HTTP/1.1' -H 'Host: api.example.com' < token.txt
  jotgate explain --config jotgate.yaml --api tickets --token @token.txt --json`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.config == "" {
				return misused("--config is required")
			}
			x, err := e.request.exchange(cmd.Context(), newInput(cmd), args, e.api != "")
			if err != nil {
				return err
			}
			config, err := e.load(x)
			if err != nil {
				return reportProblems(cmd, err)
			}
			found, err := e.run(cmd.Context(), config, x)
			if err != nil {
				return err
			}
			outcome := "the request would be forwarded by API " + x.API
			if found.Allowed && found.Status != 0 {
				outcome = fmt.Sprintf("API %s answers the request itself with %d", x.API, found.Status)
			}
			return found.report(cmd, e.json, outcome)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&e.config, "config", "c", "", "the configuration file (required)")
	f.StringVar(&e.api, "api", "", "judge by this API alone, whatever its match says")
	e.request.register(cmd)
	f.DurationVar(&e.timeout, "timeout", keysTimeout, "how long to wait for keys that have to be fetched")
	f.BoolVar(&e.showClaims, "show-claims", false, "show the values of claims")
	f.BoolVar(&e.json, "json", false, "print JSON")
	return cmd
}

// load reads the configuration and fits it to the question: only the API that is asked about, and no upstream that is sent anything.
func (e *explanation) load(x *gate.Exchange) (*gate.Config, error) {
	loaded := app.File(e.config)(file.Read)
	if err := loaded.Problems.Err(); err != nil {
		return nil, err
	}
	config := loaded.Config
	for i := range config.Providers {
		config.Providers[i].Fetch.StartWait = e.timeout
	}
	for i := range config.Upstreams {
		config.Upstreams[i].HealthCheck = nil
	}
	if e.api != "" {
		i := slices.IndexFunc(config.APIs, func(a gate.API) bool { return a.Name == e.api })
		if i < 0 {
			return nil, misused("--api %s: the configuration has no such API", e.api)
		}
		only := config.APIs[i]
		only.Match, only.Listeners = "PathPrefix(`/`)", nil
		config.APIs = []gate.API{only}
	}
	if x.Listener == "" {
		x.Listener = config.Listeners[0].Name
	} else if !slices.ContainsFunc(config.Listeners, func(l gate.Listener) bool { return l.Name == x.Listener }) {
		return nil, misused("--listener %s: the configuration has no such listener", x.Listener)
	}
	return config, nil
}

// run takes the request through an engine that serves nobody.
func (e *explanation) run(ctx context.Context, config *gate.Config, x *gate.Exchange) (*verdict, error) {
	judge, err := app.NewExplainer(ctx, config)
	if err != nil {
		return nil, err
	}
	defer judge.Close()
	found := newVerdict(x.Trace, judge.Explain(x), e.showClaims)
	found.API = x.API
	if found.Allowed {
		found.Status = x.Status // of a step that answered, such as to a CORS preflight
	}
	return &found, nil
}
