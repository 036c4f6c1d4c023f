// Command reverseproxy is what a few lines of Go's standard library make of a proxy: the baseline that a gateway in Go is usually built on.
//
//	reverseproxy ADDRESS UPSTREAM
package main

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

// pool lends the buffers that bodies are copied through, so that the baseline does not pay for them at each request.
type pool struct{ buffers sync.Pool }

func (p *pool) Get() []byte {
	if b, ok := p.buffers.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *pool) Put(b []byte) { p.buffers.Put(&b) }

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reverseproxy ADDRESS UPSTREAM")
		os.Exit(2)
	}
	target, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatalf("reading the address of the upstream: %v", err)
	}
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute, DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		Transport:  transport,
		BufferPool: &pool{},
	}
	server := &http.Server{Addr: os.Args[1], Handler: proxy, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute}
	log.Fatal(server.ListenAndServe())
}
