package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/demo/idp"
)

// TestVerifyByURL verifies a token with the keys that its provider publishes, and with those of an address where there are none.
func TestVerifyByURL(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	provider, err := idp.New(issuer, "tickets", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = provider
	server.Start()
	defer server.Close()

	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {idp.ClientID}, "client_secret": {idp.ClientSecret}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "text/plain")
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	token, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/jwks": "accepted: ", "/nothing": "jotgate: getting the keys: "} {
		cmd := exec.CommandContext(t.Context(), "jotgate", "token", "verify", "-", "--alg", "RS256", "--jwks", issuer+path, "--issuer", issuer, "--audience", "tickets", "--timeout", "1s")
		cmd.Stdin = strings.NewReader(string(token))
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) || (err == nil) != (path == "/jwks") {
			t.Errorf("%s: %v, want %q\n%s", path, err, want, out)
		}
	}
}
