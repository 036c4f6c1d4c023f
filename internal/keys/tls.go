package keys

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/jotgate/jotgate/internal/gate"
)

// ClientTLS reads the files and returns the configuration; nil options mean the defaults.
func ClientTLS(options *gate.ClientTLS) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if options == nil {
		return config, nil
	}
	config.ServerName = options.ServerName
	config.InsecureSkipVerify = options.InsecureSkipVerify
	if options.CAFile != "" {
		roots, err := readRoots(options.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = roots
	}
	if options.CertFile != "" {
		certificate, err := readCertificate(options.CertFile, options.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("the file of certificate authorities holds no certificate in PEM")
	}
	return roots, nil
}

func readCertificate(certFile, keyFile string) (tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the client certificate: %w", err)
	}
	return certificate, nil
}
