package gate

import "time"

// KeySourceStatus is the state of a provider's keys, for /status and metrics.
type KeySourceStatus struct {
	Provider string `json:"provider"`
	Kind     string `json:"kind"` // secret, publicKey, jwksFile, jwksURLs or discovery
	Ready    bool   `json:"ready"`
	// Error is what is wrong now, "" if nothing. It holds no secrets and no bodies.
	Error string `json:"error,omitempty"`
	// Parts are the documents that the keys come from.
	Parts []KeyPartStatus `json:"parts,omitempty"`
	Keys  []KeyStatus     `json:"keys"`
	// Skipped are the keys of the documents that are not used, and why.
	Skipped []string `json:"skipped,omitempty"`
	// Generation counts the changes of the keys.
	Generation uint64 `json:"generation"`
	// UnknownKeyFetches counts the fetches caused by tokens with an unknown kid, UnknownKeyRefused the tokens refused for it.
	UnknownKeyFetches uint64 `json:"unknown_key_fetches"`
	UnknownKeyRefused uint64 `json:"unknown_key_refused"`
}

// KeyPartStatus is the state of one document with keys. Times are zero if the event never happened.
type KeyPartStatus struct {
	Location    string    `json:"location"` // file or URL, without user information and query; no two parts of a source have the same
	Fetches     uint64    `json:"fetches"`
	Failures    uint64    `json:"failures"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastChange  time.Time `json:"last_change,omitzero"`
	NextFetch   time.Time `json:"next_fetch,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	// FromDisk says that the keys in use are the last known good ones of an earlier run.
	FromDisk bool `json:"from_disk,omitempty"`
	// Stale says that the keys in use should have been renewed already.
	Stale bool `json:"stale,omitempty"`
}

// KeyStatus is one key in use.
type KeyStatus struct {
	KeyID     string `json:"kid"`
	Type      string `json:"kty"`
	Algorithm string `json:"alg,omitempty"`
	Tokens    uint64 `json:"tokens"` // how many signatures it verified; a token from the cache is not counted again
}

// TokenCacheStatus is the state of the cache of verified tokens. The counts are of all configurations since the start.
type TokenCacheStatus struct {
	// MaxBytes is the limit; 0 if nothing is remembered.
	MaxBytes int64 `json:"max_bytes"`
	Bytes    int64 `json:"bytes"`
	Entries  int   `json:"entries"`
	// Hits and Misses count the tokens that were found and those that had to be verified.
	Hits   uint64 `json:"hits"`
	Misses uint64 `json:"misses"`
	// Evictions counts the tokens that were forgotten, while they were still good, to make room for others.
	Evictions uint64 `json:"evictions"`
}

// StoreStatus is the state of the store.
type StoreStatus struct {
	Driver string `json:"driver"`
	// Healthy says that it answered when it was asked just now; Error is what it said otherwise.
	Healthy bool   `json:"healthy"`
	Error   string `json:"error,omitempty"`
}

// LimitStatus is the state of what limits are counted by. The counts are of all configurations since the start.
type LimitStatus struct {
	// Counters is how many counters are in the memory of this process, Held how many requests throttles hold now.
	Counters int `json:"counters"`
	Held     int `json:"held"`
	// StoreOpen says that limits are judged without the shared store now, because it could not be asked. StoreFailures counts the questions that it has not answered in time, StoreFallbacks those that were answered without it.
	StoreOpen      bool   `json:"store_open"`
	StoreFailures  uint64 `json:"store_failures"`
	StoreFallbacks uint64 `json:"store_fallbacks"`
}

// UpstreamStatus is the state of an upstream.
type UpstreamStatus struct {
	Upstream string         `json:"upstream"`
	Servers  []ServerStatus `json:"servers"`
}

// ServerStatus is the state of one server of an upstream.
type ServerStatus struct {
	URL       string    `json:"url"`
	Healthy   bool      `json:"healthy"`
	LastCheck time.Time `json:"last_check,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	Requests  uint64    `json:"requests"`
	Failures  uint64    `json:"failures"`
	Active    int64     `json:"active"`
}
