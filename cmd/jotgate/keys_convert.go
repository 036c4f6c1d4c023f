package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/jose"
)

func newKeysConvertCommand() *cobra.Command {
	var c conversion
	cmd := &cobra.Command{
		Use:   "convert FILE --to FORMAT",
		Short: "Convert keys between PEM, JWK and JWK Set",
		Long: `Convert the keys of a file (PEM, JWK or JWK Set, - for standard input) to another format:

  jwk   one JWK; a private key stays private unless --public is given
  jwks  a JWK Set of the public keys
  pem   PEM blocks: PKCS #8 for private keys, PKIX for public ones

PEM has no room for the key ID and the algorithm: give them with --kid and --alg. JWKs without a key ID get their thumbprint (RFC 7638) as one.`,
		Example: `  jotgate keys convert server.pem --to jwk --alg RS256 --kid 2026-11
  jotgate keys convert jwks.json --to pem
  jotgate keys convert signing.jwk --to pem --public`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, secret, err := c.run(newInput(cmd), args[0])
			if err != nil {
				return err
			}
			if c.out == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			if err := writeSecret(c.out, text); err != nil {
				return err
			}
			kind := "public"
			if secret {
				kind = "private"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s\n", c.out, kind, c.to)
			return err
		},
	}
	cmd.Flags().StringVar(&c.to, "to", "", "jwk, jwks or pem (required)")
	cmd.Flags().BoolVar(&c.public, "public", false, "only the public part")
	cmd.Flags().StringVar(&c.kid, "kid", "", "the key ID of a single key")
	cmd.Flags().StringVar(&c.alg, "alg", "", "the algorithm of keys that do not name one")
	complete(cmd, "to", []string{"jwk", "jwks", "pem"})
	complete(cmd, "alg", algorithmList())
	cmd.Flags().StringVar(&c.out, "out", "", "new file to write to, readable by its owner only (default: standard output)")
	return cmd
}

// conversion is what a keys convert command line asks for.
type conversion struct {
	to, kid, alg, out string
	public            bool
}

// run converts the keys of the file; secret says that the result must be kept secret.
func (c *conversion) run(in *input, path string) (text []byte, secret bool, err error) {
	if c.to != "jwk" && c.to != "jwks" && c.to != "pem" {
		return nil, false, misused("--to must be jwk, jwks or pem")
	}
	alg, err := parseAlgorithm(c.alg)
	if err != nil {
		return nil, false, err
	}
	keys, err := readKeyFile(in, path, alg)
	if err != nil {
		return nil, false, err
	}
	if len(keys) > 1 && (c.kid != "" || c.to == "jwk") {
		return nil, false, fmt.Errorf("%s holds %d keys, so it becomes a JWK Set or PEM, without --kid", path, len(keys))
	}
	var public []*jose.Key
	for i := range keys {
		key := c.finish(keys[i])
		switch {
		case key.private != nil && !c.public && c.to != "jwks":
			one, err := encodePrivate(key.private, c.to)
			if err != nil {
				return nil, false, err
			}
			text, secret = append(text, one...), true
		case key.public.Symmetric():
			return nil, false, errors.New("a shared secret has no public part")
		default:
			public = append(public, key.public)
		}
	}
	if len(public) == 0 {
		return text, secret, nil
	}
	more, err := encodePublic(public, c.to)
	return append(text, more...), secret, err
}

// finish gives the key its key ID; in PEM there is none.
func (c *conversion) finish(key heldKey) heldKey {
	kid := c.kid
	if kid == "" {
		kid = identified(key.public).KeyID()
	}
	key.public = key.public.WithKeyID(kid)
	if key.private != nil {
		key.private = key.private.WithKeyID(kid)
	}
	return key
}

func encodePrivate(key *jose.SigningKey, to string) ([]byte, error) {
	encode, err := privateEncoding(to)
	if err != nil {
		return nil, err
	}
	return encode(key)
}

func encodePublic(keys []*jose.Key, to string) ([]byte, error) {
	switch to {
	case "jwks":
		return encodeSet(keys)
	case "jwk":
		text, err := json.Marshal(keys[0])
		return indent(text), err
	}
	var text []byte
	for _, key := range keys {
		block, err := key.MarshalPEM()
		if err != nil {
			return nil, err
		}
		text = append(text, block...)
	}
	return text, nil
}
