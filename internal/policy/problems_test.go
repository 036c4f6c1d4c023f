package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/policy"
)

const tickets = "apis: [{name: tickets, match: \"PathPrefix(`/`)\", upstream: u, auth: {access: [policies], jwt: {providers: [p], policies: {claims: [pol]}}}, operations: [{name: read, operations: [{methods: [GET]}]}]}]\n"

func api(auth string) string {
	return "apis: [{name: tickets, match: \"PathPrefix(`/`)\", upstream: u, auth: " + auth + "}]\n"
}

// problemsOf are those of a whole configuration.
func problemsOf(t *testing.T, text string) gate.Problems {
	t.Helper()
	loaded := native.Load("test.yaml", []byte(text), t.TempDir(), nil)
	if err := loaded.Problems.Err(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	book, problems := policy.NewBook(sources(loaded.Config))
	if (book == nil) != (problems.Err() != nil) {
		t.Errorf("the book is there %v, and the problems are %v", book != nil, problems)
	}
	if book != nil {
		for i := range loaded.Config.APIs {
			_, more := book.Selector(&loaded.Config.APIs[i])
			problems = append(problems, more...)
		}
	}
	return problems
}

func TestProblems(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"nothing wrong", tickets + "policies: [{name: a, access: [{api: tickets}]}]", nil},
		{"two policies of a name", tickets + "policies: [{name: a, access: [{api: tickets}]}, {name: a, access: [{api: tickets}]}]", []string{`policies[1].name: another policy is already called "a"`}},
		{"no name", tickets + "policies: [{name: \"a\\tb\", access: [{api: tickets}]}]", []string{"policies[0].name: a name has at most 200 characters, and no control characters"}},
		{"unknown api", tickets + "policies: [{name: a, access: [{api: tikets}]}]", []string{`policies[0].access[0].api: there is no api called "tikets" (did you mean tickets?)`}},
		{"no access", tickets + "policies: [{name: a}]", []string{`warning: policies[0].access: the policy decides about access, and grants none (for example: access: [{api: "*"}])`}},
		{"unknown partition", tickets + "policies: [{name: a, partitions: [acl], access: [{api: tickets}]}]", []string{`policies[0].partitions[0]: unknown partition "acl" (there are access, rate, quota, perAPI)`}},
		{"partition twice", tickets + "policies: [{name: a, partitions: [access, access], access: [{api: tickets}]}]", []string{"policies[0].partitions[1]: access is there twice"}},
		{"perAPI and another", tickets + "policies: [{name: a, partitions: [perAPI, rate], access: [{api: tickets}]}]", []string{"policies[0].partitions: perAPI contradicts every other partition (perAPI stands alone: it decides everything, for each API by itself)"}},
		{"rate of another partition", tickets + "policies: [{name: a, partitions: [access], access: [{api: tickets}], rate: {limit: 1}}]", []string{"policies[0].rate: the policy has a rate or a throttle, and does not decide about rates (add rate to partitions)"}},
		{"quota of another partition", tickets + "policies: [{name: a, partitions: [rate], quota: {limit: 1}}]", []string{"policies[0].quota: the policy has a quota, and does not decide about quotas (add quota to partitions)"}},
		{"quota of another partition, of an api", tickets + "policies: [{name: a, partitions: [access], access: [{api: tickets, quota: {limit: 1}}]}]", []string{"policies[0].access[0].quota: there is a quota, and the policy does not decide about quotas (add quota to partitions)"}},
		{"endpoints of another partition", tickets + "policies: [{name: a, partitions: [access], access: [{api: tickets, endpoints: [{operation: {path: /a}, rate: {limit: 1}}]}]}]", []string{"policies[0].access[0]: there are rates, and the policy does not decide about rates (add rate to partitions)"}},
		{"rate without length", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: 1, period: 0s}}]", []string{"policies[0].rate.period: a rate has a period (for example 1s)"}},
		{"rate too short", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: 1, period: 1us}}]", []string{"policies[0].rate: a period is from 1ms to ten years"}},
		{"rate too long", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: 1, period: 25h}}]", []string{"policies[0].rate.period: a rate's period is at most 24h (a quota has longer periods)"}},
		{"negative rate", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: -1}}]", []string{"policies[0].rate: a limit is from 0 to MAX"}},
		{"unknown algorithm", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: 1, algorithm: leaky}}]", []string{"policies[0].rate: the algorithm of a limit is bucket, fixedWindow or slidingWindow"}},
		{"burst of a window", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: 1, burst: 2, algorithm: fixedWindow}}]", []string{"policies[0].rate: only a bucket has a burst"}},
		{"quota below nothing", tickets + "policies: [{name: a, access: [{api: tickets}], quota: {limit: -2}}]", []string{"policies[0].quota: a limit is from 0 to MAX (-1 means no limit)"}},
		{"quota that slides for ever", tickets + "policies: [{name: a, access: [{api: tickets}], quota: {limit: 2, algorithm: slidingWindow}}]", []string{"policies[0].quota: only a fixed window may have no period"}},
		{"throttle", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: 2}, throttle: {interval: 2m, retries: 1}}]", []string{"policies[0].throttle: the interval of a throttle is from 1ms to 1m"}},
		{"throttle of nothing", tickets + "policies: [{name: a, access: [{api: tickets}], rate: {limit: 2}, throttle: {interval: 0s, retries: 0}}]", []string{"policies[0].throttle: the interval and the retries are missing"}},
		{"method", tickets + "policies: [{name: a, access: [{api: tickets, operations: [{methods: [get]}]}]}]", []string{`policies[0].access[0].operations[0].methods[0]: "get" is no method (write it in capitals, for example GET)`}},
		{"two paths", tickets + "policies: [{name: a, access: [{api: tickets, operations: [{path: /a, pathPrefix: /a}]}]}]", []string{"policies[0].access[0].operations[0]: path, pathPrefix, pathPattern and pathRegex contradict each other (keep one of them)"}},
		{"path", tickets + "policies: [{name: a, access: [{api: tickets, operations: [{path: a}]}]}]", []string{`policies[0].access[0].operations[0].path: "a" is no canonical path, so no request could have it (start with /, without . and .. segments, percent-encoding and ;)`}},
		{"prefix", tickets + "policies: [{name: a, access: [{api: tickets, operations: [{pathPrefix: /a/../b}]}]}]", []string{`policies[0].access[0].operations[0].pathPrefix: "/a/../b" is no canonical path, so no request could have it (start with /, without . and .. segments, percent-encoding and ;)`}},
		{"pattern", tickets + "policies: [{name: a, access: [{api: tickets, operations: [{pathPattern: \"/a{id}\"}]}]}]", []string{"policies[0].access[0].operations[0].pathPattern: {name} stands for a whole segment, and * only at the end, after a slash; between slashes there is something (for example /users/{id}/files/*)"}},
		{"pattern without a slash", tickets + "policies: [{name: a, access: [{api: tickets, operations: [{pathPattern: \"a/{id}\"}]}]}]", []string{`policies[0].access[0].operations[0].pathPattern: "a/{id}" is no canonical path, so no request could have it (start with /, without . and .. segments, percent-encoding and ;)`}},
		{"regex", tickets + "policies: [{name: a, access: [{api: tickets, operations: [{pathRegex: \"(\"}]}]}]", []string{"policies[0].access[0].operations[0].pathRegex: error parsing regexp: missing closing ): `(` (the syntax is RE2)"}},
		{"endpoint", tickets + "policies: [{name: a, access: [{api: tickets, endpoints: [{operation: {path: a}, rate: {limit: -1}}]}]}]", []string{
			`policies[0].access[0].endpoints[0].operation.path: "a" is no canonical path, so no request could have it (start with /, without . and .. segments, percent-encoding and ;)`,
			"policies[0].access[0].endpoints[0].rate: a limit is from 0 to MAX",
		}},
		{"version", tickets + "policies: [{name: a, access: [{api: tickets, versions: [\"\"]}]}]", []string{"policies[0].access[0].versions[0]: must not be empty"}},

		{"plan", tickets + "plans: [{name: a, bucket: user}, {name: a}]", []string{`plans[0].bucket: unknown bucket "user" (use subscription, application or application-api)`, `plans[1].name: another plan is already called "a"`}},
		{"limits of a plan", tickets + "plans: [{name: a, rate: {limit: 1, period: 48h}, quota: {limit: -3}}]", []string{"plans[0].quota: a limit is from 0 to MAX (-1 means no limit)", "plans[0].rate.period: a rate's period is at most 24h (a quota has longer periods)"}},
		{"access rule", tickets + "access: [{name: a, groups: [g], everyone: true, apis: [tickets, tickets], operations: [write, write], plan: gold}]", []string{
			`access[0].apis[1]: tickets is there twice`,
			`access[0].everyone: groups and everyone contradict each other (keep one of them)`,
			`access[0].operations[0]: the api tickets has no operation set called "write"`,
			`access[0].operations[1]: the api tickets has no operation set called "write"`,
			`access[0].operations[1]: write is there twice`,
			`access[0].plan: there is no plan called "gold"`,
		}},
		{"access rule for nobody", tickets + "access: [{name: a, apis: [\"*\", tickets], operations: [gone]}]", []string{
			`access[0].apis[0]: * stands for all APIs (keep * alone)`,
			`access[0].groups: it is not said for whom the rule is (name groups, or say everyone: true)`,
			`access[0].operations[0]: no api has an operation set called "gone"`,
			`access[0].operations[0]: the api tickets has no operation set called "gone"`,
		}},
		{"access rules of a name", tickets + "access: [{name: a, groups: [\"\"], apis: [tickets]}, {name: a, everyone: true, apis: [tickets]}]", []string{"access[0].groups[0]: must not be empty", `access[1].name: another access rule is already called "a"`}},
		{"group rate", tickets + "groupRates: [{name: a, apis: [x], rate: {limit: 1, period: 25h}}]", []string{
			`groupRates[0].apis[0]: there is no api called "x" (known: tickets)`,
			"groupRates[0].groups: it is not said for whom the rule is (name groups, or say everyone: true)",
			"groupRates[0].rate.period: a rate's period is at most 24h (a quota has longer periods)",
		}},
		{"applications", tickets + "applications: [{name: a, id: x}, {name: a, id: x}]", []string{`applications[1].id: the application "a" already has this ID`, `applications[1].name: another application is already called "a"`}},
		{"subscription", tickets + "plans: [{name: gold}]\napplications: [{name: a, id: x}]\nsubscriptions: [{name: s, applications: [b], apis: [tickets], claims: \"Equals(`a`\", plan: gld}]", []string{
			`subscriptions[0].applications[0]: there is no application called "b"`,
			"subscriptions[0].claims: column 7 of the expression: this parenthesis is never closed",
			`subscriptions[0].plan: there is no plan called "gld" (did you mean gold?)`,
		}},

		{"unknown access", api("{access: [groups, groups, roles], jwt: {providers: [p]}}"), []string{
			"apis[0].auth.access[1]: groups is there twice", `apis[0].auth.access[2]: unknown kind of access "roles" (there are policies, groups, subscriptions)`,
		}},
		{"access for all", api("{access: [groups], anonymous: true}"), []string{"apis[0].auth.access: nobody is known where everybody is let in (remove one of them)"}},
		{"selection without access", api("{jwt: {providers: [p], policies: {claims: [pol]}}}"), []string{"apis[0].auth.jwt.policies: policies are selected, but the API does not ask for them (add access: [policies])"}},
		{"access without selection", api("{access: [policies], jwt: {providers: [p]}}"), []string{"apis[0].auth.jwt: the API asks for policies, and no token has any (say in auth.jwt.policies how tokens select them)"}},
		{
			"missing policies", api("{access: [policies], jwt: {providers: [p], policies: {default: [basik], clients: {web: x}, scopes: {policies: {s: y}}, values: [{claim: c, value: v, policy: z}]}}}") + "policies: [{name: basic, access: [{api: tickets}]}]",
			[]string{
				`apis[0].auth.jwt.policies.clients.web: there is no policy called "x" (known: basic)`,
				`apis[0].auth.jwt.policies.default[0]: there is no policy called "basik" (did you mean basic?)`,
				`apis[0].auth.jwt.policies.scopes.policies.s: there is no policy called "y" (known: basic)`,
				`apis[0].auth.jwt.policies.values[0].policy: there is no policy called "z" (known: basic)`,
			},
		},
		{
			"defaults that contradict", api("{access: [policies], jwt: {providers: [p], policies: {default: [a, b]}}}") + "policies: [{name: a, partitions: [perAPI], access: [{api: tickets}]}, {name: b, partitions: [rate], rate: {limit: 1}}]",
			[]string{"apis[0].auth.jwt.policies.default: a says perAPI and b decides other parts only: they cannot apply together (use policies that all say perAPI, or none)"},
		},
		{
			"claim that is no path", api(fmt.Sprintf("{access: [policies], jwt: {providers: [p], policies: {claims: [\"\", %s]}}}", strings.Repeat("a", 1025))),
			[]string{"apis[0].auth.jwt.policies.claims[0]: must not be empty", "apis[0].auth.jwt.policies.claims[1]: claim path too long: 1025 bytes, at most 1024 are allowed"},
		},
		{
			"operation sets", "apis: [{name: tickets, match: \"PathPrefix(`/`)\", upstream: u, auth: {anonymous: true}, operations: [{name: a, operations: [{path: a}]}, {name: a, operations: [{}]}]}]",
			[]string{
				`apis[0].operations[0].operations[0].path: "a" is no canonical path, so no request could have it (start with /, without . and .. segments, percent-encoding and ;)`,
				`apis[0].operations[1].name: another operation set is already called "a"`,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got, want []string
			for _, text := range test.want {
				want = append(want, strings.ReplaceAll(text, "MAX", fmt.Sprint(int64(limit.MaxLimit))))
			}
			for _, p := range problemsOf(t, test.text) {
				if p.Line == 0 {
					t.Errorf("it is not said where: %v", p)
				}
				text := p.Path + ": " + p.Message
				if p.Hint != "" {
					text += " (" + p.Hint + ")"
				}
				if p.Warning {
					text = "warning: " + text
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
