//go:build race

package engine

// raceDetector says that the tests run under the race detector, which makes sync.Pool allocate at random.
const raceDetector = true
