// Package gate holds the nouns of the gateway: what a configuration says, what a request is on its way through, and why it is refused.
// It is data and contracts only; every other package implements or uses them.
package gate
