package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/jotgate/jotgate/jose"
)

// spec is what a subject is configured for.
type spec struct {
	folder   string // for files of this one start
	address  netip.AddrPort
	admin    netip.AddrPort // jotgate only
	upstream netip.AddrPort
	scenario scenario
	key      *issuerKey // nil without tokens
	cert     *certificate
	cpus     int
}

// nginxHead is common to the upstream and to nginx as a proxy. Everything that nginx may write is in the folder.
func nginxHead(folder string, workers int) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	var paths strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "  %s_temp_path %s;\n", kind, filepath.Join(folder, kind))
	}
	return fmt.Sprintf(`%sdaemon off;
worker_processes %d;
pid %s;
error_log stderr error;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  keepalive_time 24h;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
%s`, user, workers, filepath.Join(folder, "pid"), paths.String())
}

// smallBody is what the upstream answers: 311 bytes of JSON.
func smallBody() string {
	const size = 311
	const start, end = `{"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","status":"open","text":"`, `"}`
	return start + strings.Repeat("x", size-len(start)-len(end)) + end
}

const largeSize = 128 << 10

// upstreamConfig is the cheap server behind all proxies: one nginx worker that answers from memory, marks its answers and counts its requests.
func upstreamConfig(folder string, address netip.AddrPort) (string, error) {
	large := filepath.Join(folder, "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("0123456789abcdef", largeSize/16)), 0o644); err != nil {
		return "", err
	}
	return nginxHead(folder, 1) + fmt.Sprintf(`  open_file_cache max=16 inactive=1h;
  open_file_cache_valid 1h;
  server {
    listen %s backlog=4096;
    root %s;
    default_type application/json;
    add_header %s 1;
    location / { return 200 '%s'; }
    location = /large { }
    location = /status { stub_status; }
  }
}
`, address, folder, marker, smallBody()), nil
}

// nginxConfig is nginx as a plain reverse proxy. It has no JWT verification outside of its commercial edition.
func nginxConfig(s *spec) string {
	listen := fmt.Sprintf("    listen %s backlog=4096;", s.address)
	if s.scenario.TLS {
		listen = fmt.Sprintf("    listen %s ssl backlog=4096;\n    ssl_certificate %s;\n    ssl_certificate_key %s;\n    ssl_protocols TLSv1.2 TLSv1.3;", s.address, s.cert.certFile, s.cert.keyFile)
	}
	return nginxHead(s.folder, s.cpus) + fmt.Sprintf(`  upstream back {
    server %s;
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_time 24h;
  }
  server {
%s
    location / {
      proxy_pass http://back;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`, s.upstream, listen)
}

// haproxyConfig is HAProxy, with the cheapest rules that check what jotgate checks: the algorithm, which is written into jwt_verify and so cannot be chosen by
// the token, the signature, exp and one claim.
func haproxyConfig(s *spec) string {
	bind := s.address.String() + " backlog 4096"
	if s.scenario.TLS {
		bind += " ssl crt " + s.cert.bothFile + " alpn http/1.1"
	}
	var rules string
	if s.key != nil {
		key := s.key.pemFile
		if s.key.algorithm == jose.HS256 {
			key = s.key.secret
		}
		rules = fmt.Sprintf(`  http-request set-var(txn.token) http_auth_bearer
  http-request deny deny_status 401 unless { var(txn.token),jwt_verify("%s","%s") 1 }
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now) gt 0 }
  http-request deny deny_status 403 unless { var(txn.token),jwt_payload_query('$.grp') -m str %s }
`, s.key.algorithm, key, group)
	}
	return fmt.Sprintf(`global
  nbthread %d
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
  option forwardfor
frontend front
  bind %s
%s  default_backend back
backend back
  server up %s
`, s.cpus, bind, rules, s.upstream)
}
