//go:build race

package jose

// raceEnabled: with the race detector a sync.Pool drops some of what is put into it, so allocations cannot be counted.
const raceEnabled = true
