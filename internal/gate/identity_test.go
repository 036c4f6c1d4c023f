package gate_test

import (
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// TestUserKeyIsTheSameKept: whether an identity keeps its key says nothing of who it is.
func TestUserKeyIsTheSameKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		id   gate.Identity
		want limit.Key
	}{
		{"user of an issuer", gate.Identity{Issuer: "https://a.example.com", User: "alice"}, gate.NewUserKey("https://a.example.com", "alice", false)},
		{"joined issuers", gate.Identity{Issuer: "https://a.example.com", User: "alice", JoinsIssuers: true}, gate.NewUserKey("https://b.example.com", "alice", true)},
		{"nobody", gate.Identity{Issuer: "https://a.example.com", Subject: "alice"}, limit.Key{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := tt.id
			computed := id.UserKey()
			id.KeepUserKey()
			if kept := id.UserKey(); computed != tt.want || kept != tt.want {
				t.Errorf("computed %x, kept %x, want %x", computed, kept, tt.want)
			}
			own := gate.NewOwnerKey("alice", "")
			id.SetUserKey(own)
			id.KeepUserKey()
			if id.UserKey() != own {
				t.Error("the key that was set is lost")
			}
		})
	}
}
