package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jotgate/jotgate/internal/demo/idp"
)

// provider is an identity provider that a script can switch off and on.
type provider struct {
	address string
	idp     *idp.Provider
	server  *http.Server // nil while it is off
}

// providerCommand is an identity provider whose issuer is http://$NAME:
//
//	provider make NAME         find an address and make keys, but answer nobody yet
//	provider start|stop NAME
//	provider rotate NAME
//	provider token NAME FILE   write a token, whether it answers or not
func providerCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || (args[0] == "token") != (len(args) == 3) {
		ts.Fatalf("usage: provider make|start|stop|rotate|token NAME [FILE]")
	}
	s, name := stageOf(ts), args[1]
	p := s.providers[name]
	switch args[0] {
	case "make":
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		p = &provider{address: listener.Addr().String()}
		ts.Check(listener.Close())
		p.idp, err = idp.New("http://"+p.address, "tickets", time.Now)
		ts.Check(err)
		s.providers[name] = p
		ts.Setenv(name, p.address)
	case "start":
		listener, err := net.Listen("tcp", p.address)
		ts.Check(err)
		p.server = &http.Server{Handler: p.idp, ReadHeaderTimeout: time.Minute}
		go func(server *http.Server) { _ = server.Serve(listener) }(p.server) // ends when the server is closed
		ts.Defer(p.stop)
	case "stop":
		p.stop()
	case "rotate":
		_, err := p.idp.Rotate()
		ts.Check(err)
	case "token":
		replace(ts, args[2], []byte(p.token(ts)))
	default:
		ts.Fatalf("provider %s", args[0])
	}
}

func (p *provider) stop() {
	if p.server != nil {
		_ = p.server.Close() // its connections are cut off
		p.server = nil
	}
}

func (p *provider) token(ts *testscript.TestScript) string {
	form := url.Values{"grant_type": {"client_credentials"}}
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/plain")
	r.SetBasicAuth(idp.ClientID, idp.ClientSecret)
	answer := httptest.NewRecorder()
	p.idp.ServeHTTP(answer, r)
	if answer.Code != http.StatusOK {
		ts.Fatalf("no token: %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}
