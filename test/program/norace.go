//go:build !race

package program

// RaceEnabled says whether the tests, and the program with them, have the race detector.
const RaceEnabled = false
