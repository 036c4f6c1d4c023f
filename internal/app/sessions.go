package app

import (
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// sessions say to the management API what somebody may do now.
type sessions struct{ app *App }

// Session implements manage.Sessions.
func (s sessions) Session(apiName, provider string, claims []byte) (_ *gate.Session, own, shared []limit.Use, err error) {
	return s.app.engine.Session(apiName, engine.Caller{Provider: provider, Claims: claims}, time.Now())
}

// KeySession implements manage.Sessions.
func (s sessions) KeySession(apiName string, key *apikey.Key) (_ *gate.Session, own, shared []limit.Use, err error) {
	return s.app.engine.Session(apiName, engine.Caller{Key: key}, time.Now())
}
