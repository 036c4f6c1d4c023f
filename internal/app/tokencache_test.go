package app_test

import (
	"strings"
	"testing"
)

// TestTokenCacheIsShown: a token is verified once, and operators can see it, over a reload too.
func TestTokenCacheIsShown(t *testing.T) {
	h := newHarness(t, nil)
	h.start()
	good := token(t, secret, nil)
	for range 3 {
		if status, _ := h.get("/tickets", good); status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if got := h.status().TokenCache; got.Hits != 2 || got.Misses != 1 || got.Entries != 1 || got.Bytes == 0 || got.MaxBytes != 64<<20 {
		t.Errorf("%+v", got)
	}
	if _, text := h.admin("/metrics"); !strings.Contains(text, "\njotgate_token_cache_hits_total 2\n") || !strings.Contains(text, "\njotgate_token_cache_entries 1\n") {
		t.Error("the metrics do not show the cache")
	}
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.status().TokenCache; got.Hits != 2 || got.Misses != 1 || got.Entries != 0 {
		t.Errorf("after a reload: %+v", got)
	}
}
