package h1_test

import (
	"testing"

	"github.com/jotgate/jotgate/internal/h1"
)

// seeds adds every nth message of a corpus.
func seeds(f *testing.F, corpus []string, nth int) {
	f.Helper()
	for i := 0; i < len(corpus); i += nth {
		f.Add(corpus[i])
	}
}

// FuzzRequest: what we read, net/http reads alike; written again it stays the same; pieces make no difference.
func FuzzRequest(f *testing.F) {
	seeds(f, requestCorpus(), 11)
	f.Add(string(call))
	f.Fuzz(func(t *testing.T, raw string) {
		if len(raw) > 1<<12 {
			return
		}
		checkRequest(t, raw)
		checkCanonical(t, raw)
		if len(raw) < 300 {
			checkPieces(t, raw, func(move bool, pieces ...[]byte) message {
				return readRequest(h1.Limits{HTTP10: true}, move, pieces...)
			})
		}
	})
}

// FuzzResponse: what we read, net/http reads alike; written again it stays the same; pieces make no difference.
func FuzzResponse(f *testing.F) {
	seeds(f, responseCorpus(), 7)
	f.Add(string(answer))
	f.Fuzz(func(t *testing.T, raw string) {
		if len(raw) > 1<<12 {
			return
		}
		for _, method := range []string{"GET", "HEAD"} {
			checkResponse(t, raw, method)
			checkCanonicalResponse(t, raw, method)
			if len(raw) < 120 {
				checkPieces(t, raw, func(_ bool, pieces ...[]byte) message { return readResponse(method, h1.Limits{}, pieces...) })
			}
		}
	})
}

// FuzzChunked is FuzzRequest for what follows the head of a chunked request.
func FuzzChunked(f *testing.F) {
	for _, s := range sizes {
		f.Add(s + "\r\nhello\r\n0\r\n\r\nGET")
	}
	f.Add("4\r\nWiki\r\n7;x=\"y\"\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\nX-A: 1\r\nHost: b\r\n\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 1<<12 {
			return
		}
		raw := chunkedPost + body
		checkRequest(t, raw)
		checkCanonical(t, raw)
		if len(raw) < 300 {
			checkPieces(t, raw, func(move bool, pieces ...[]byte) message {
				return readRequest(h1.Limits{HTTP10: true}, move, pieces...)
			})
		}
	})
}
