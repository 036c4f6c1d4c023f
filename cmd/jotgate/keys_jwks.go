package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/jose"
)

func newKeysJWKSCommand() *cobra.Command {
	var alg string
	cmd := &cobra.Command{
		Use:   "jwks FILE...",
		Short: "Print the public JWK Set of key files",
		Long: `Print the JWK Set (RFC 7517) of all the keys in the given files: JWK, JWK Set or PEM, public or private, - for standard input.
Only the public parts are printed. A shared secret has none, and is refused. Keys without a key ID get their thumbprint (RFC 7638) as one.`,
		Example: `  jotgate keys jwks new.jwk old.pem > jwks.json`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			algorithm, err := parseAlgorithm(alg)
			if err != nil {
				return err
			}
			var public []*jose.Key
			in := newInput(cmd)
			for _, path := range args {
				keys, err := readKeyFile(in, path, algorithm)
				if err != nil {
					return err
				}
				for _, key := range keys {
					if key.public.Symmetric() {
						return fmt.Errorf("%s: a shared secret cannot be published", path)
					}
					public = append(public, identified(key.public))
				}
			}
			text, err := encodeSet(public)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&alg, "alg", "", "the algorithm of keys that do not name one")
	complete(cmd, "alg", algorithmList())
	return cmd
}

// readKeyFile reads the keys of a file; errors name it.
func readKeyFile(in *input, path string, alg jose.Algorithm) ([]heldKey, error) {
	data, err := in.file("key", path)
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(data, alg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// identified gives a public key without a kid its thumbprint as one.
func identified(key *jose.Key) *jose.Key {
	if key.KeyID() != "" {
		return key
	}
	return key.WithKeyID(key.Thumbprint())
}

// encodeSet is the JWK Set of public keys.
func encodeSet(keys []*jose.Key) ([]byte, error) {
	set, problems := jose.NewSet(keys...)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encoding the key set: %w", err)
	}
	return indent(text), nil
}
