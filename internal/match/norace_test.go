//go:build !race

package match

// RaceDetector says that the tests run under the race detector, which makes sync.Pool, and with it package regexp, allocate at random.
const RaceDetector = false
