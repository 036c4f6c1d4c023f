// Package observe is what operators see of the gateway: logs, access lines and metrics. Nothing in it ever holds a token, a secret or, unless the
// configuration asks for it, a claim's value.
package observe
