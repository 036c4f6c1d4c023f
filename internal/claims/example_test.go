package claims_test

import (
	"fmt"

	"github.com/jotgate/jotgate/internal/claims"
)

func ExampleCompile() {
	condition, err := claims.Compile("Equals(`grp`, `admin`) || SplitContains(`scope`, ` `, `tickets:write`)")
	if err != nil {
		panic(err)
	}
	payload, err := claims.Parse([]byte(`{"sub":"alice","grp":"guest","scope":"openid tickets:write"}`), claims.Limits{})
	if err != nil {
		panic(err)
	}
	fmt.Println(condition.Eval(payload))
	for _, part := range condition.Explain(payload).Parts {
		fmt.Println(part.Result, part.Text, "found a", part.Found)
	}
	_, err = claims.Compile("Equal('grp', 'admin')")
	fmt.Println(err)
	_, err = claims.Compile("Equal(`grp`, `admin`)")
	fmt.Println(err)
	// Output:
	// true
	// false Equals(`grp`, `admin`) found a string
	// true SplitContains(`scope`, ` `, `tickets:write`) found a string
	// column 7: a string in single quotes (write strings in backquotes or double quotes)
	// column 1: unknown function "Equal" (did you mean Equals?)
}

func ExampleParsePath() {
	payload, err := claims.Parse([]byte(`{"realm_access":{"roles":["ops"]},"https://example.com/roles":["boss"]}`), claims.Limits{})
	if err != nil {
		panic(err)
	}
	for _, text := range []string{`realm_access.roles`, `https://example\.com/roles`, `https://example.com/roles`} {
		path, err := claims.ParsePath(text)
		if err != nil {
			panic(err)
		}
		values, err := claims.HeaderValues(payload.Lookup(path))
		fmt.Println(values, err)
	}
	// Output:
	// [ops] <nil>
	// [boss] <nil>
	// [] <nil>
}
