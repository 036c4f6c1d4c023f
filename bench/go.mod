module github.com/jotgate/jotgate/bench

go 1.26.0

replace github.com/jotgate/jotgate => ../

require github.com/jotgate/jotgate v0.0.0-00010101000000-000000000000

require (
	filippo.io/mldsa v1.0.0 // indirect
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.4.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
