//go:build unix

package rawconn_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/jotgate/jotgate/internal/rawconn"
)

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	certificate := server.TLS.Certificates[0]
	server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	near, far := pair(t)
	client := tls.Client(rawconn.Wrap(near, rawconn.Raw), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	peer := tls.Server(rawconn.Wrap(far, rawconn.Raw), &tls.Config{Certificates: []tls.Certificate{certificate}})
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := io.Copy(peer, peer); err != nil {
			t.Error(err)
		}
		if err := peer.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if _, err := client.Write(data); err != nil {
			t.Error(err)
		}
		if err := client.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
	wg.Wait()
	if rawconn.Probe(client.NetConn()) == rawconn.Readable {
		t.Error("something was left unread")
	}
}
