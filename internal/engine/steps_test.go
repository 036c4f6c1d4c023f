package engine

import (
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
)

// A table of the protected names for each API would grow with the square of the number of APIs.
func TestAPIsShareTheProtectedNames(t *testing.T) {
	c := &compiler{config: new(gate.Config), protected: []string{"X-User"}}
	api := gate.API{Auth: gate.Auth{Anonymous: true}}
	first, _ := c.steps(&api, nil)
	second, _ := c.steps(&api, nil)
	if first.public[0] != second.public[0] || first.protected[0] != first.public[0] {
		t.Error("the APIs have tables of their own")
	}
}
