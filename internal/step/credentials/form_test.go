package credentials

import (
	"io"
	"testing"
	"testing/iotest"

	"github.com/jotgate/jotgate/internal/gate"
)

// The limit of an API ends a body with gate.ErrBodyTooLarge, which is no refusal by itself.
func TestFormOverTheLimitOfTheAPI(t *testing.T) {
	x := &gate.Exchange{Method: "POST", Length: -1, Body: io.NopCloser(iotest.ErrReader(gate.ErrBodyTooLarge))}
	_, err := readForm(x)
	if got := gate.AsDenial(err).Reason; got != gate.ReasonBodyLarge {
		t.Errorf("reason %s, want %s", got, gate.ReasonBodyLarge)
	}
}
