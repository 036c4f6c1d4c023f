package policy

// Poison breaks all policies, rules, applications and subscriptions but those of which keep says otherwise: whoever looks at one panics. Indexes stay.
func (b *Book) Poison(keep func(name string) bool) {
	for name := range b.policies {
		if !keep(name) {
			b.policies[name] = nil
		}
	}
	for id, app := range b.apps {
		if !keep(app.Name) {
			b.apps[id] = nil
		}
	}
	for _, rules := range b.access {
		for i := range rules {
			if !keep(rules[i].Name) {
				rules[i] = nil
			}
		}
	}
	for _, subscriptions := range b.subscriptions {
		for i := range subscriptions {
			if !keep(subscriptions[i].Name) {
				subscriptions[i] = nil
			}
		}
	}
}
