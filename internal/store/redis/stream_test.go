package redis_test

import (
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/store/redis"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
)

func TestStream(t *testing.T) {
	server := redistest.Start(t)
	client, err := redis.Open(t.Context(), redis.Options{Addresses: []string{server.Address}, Prefix: "p:"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := redis.NewStream(client, "usage", 1000)
	if err := s.Write([]byte("{\"n\":1}\n{\"n\":2}\n")); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]byte("{\"n\":3}\n")); err != nil {
		t.Fatal(err)
	}
	if n := strings.TrimSpace(server.Do("XLEN", "p:usage")); !strings.HasSuffix(n, "3") {
		t.Errorf("%s entries", n)
	}
	server.Kill()
	if err := s.Write([]byte("{\"n\":4}\n")); err == nil {
		t.Error("a server that is gone took a record")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
