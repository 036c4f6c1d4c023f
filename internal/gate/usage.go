package gate

import "time"

// Usage says what becomes of usage records: one for each request, with identity, API, policy, verdict, latency and bytes. Records never delay a request; what cannot be
// taken in time is dropped and counted.
type Usage struct {
	Origin Origin `yaml:"-"`
	// Aggregate sums records up in buckets of a minute, in the store.
	Aggregate bool `yaml:"aggregate"`
	// Keep is how long the buckets are kept.
	Keep time.Duration `yaml:"keep"`
	// Sinks are where the raw records go.
	Sinks []UsageSink `yaml:"sinks"`
}

// SetDefaults fills in what a configuration leaves out.
func (u *Usage) SetDefaults() { u.Keep = 30 * 24 * time.Hour }

// UsageSink is a place for raw usage records, as JSON lines. Exactly one of File, Stdout and RedisStream is set.
type UsageSink struct {
	// File is a file that records are appended to.
	File string `yaml:"file" path:"file"`
	// MaxBytes is the size at which the file is rotated.
	MaxBytes Bytes `yaml:"maxBytes"`
	// MaxFiles is how many rotated files are kept.
	MaxFiles int `yaml:"maxFiles"`
	// Stdout writes records to standard output.
	Stdout bool `yaml:"stdout"`
	// RedisStream is the key, below the store's prefix, of a stream in the store's Redis.
	RedisStream string `yaml:"redisStream"`
	// MaxLength is about how many records the stream keeps.
	MaxLength int64 `yaml:"maxLength"`
}

// SetDefaults fills in what a configuration leaves out.
func (s *UsageSink) SetDefaults() { s.MaxBytes, s.MaxFiles, s.MaxLength = 64<<20, 5, 1_000_000 }
