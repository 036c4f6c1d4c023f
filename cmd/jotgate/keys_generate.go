package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/jose"
)

func newKeysGenerateCommand() *cobra.Command {
	var alg, kid, format, out string
	cmd := &cobra.Command{
		Use:   "generate --alg ALGORITHM",
		Short: "Make a new private key or shared secret",
		Long: `Make a new private key, or a shared secret for the HMAC algorithms, and print it as a private JWK or as PEM (PKCS #8).

RSA keys have 2048 bits; secrets are as long as their hash. The key ID is the key's thumbprint (RFC 7638), or random for a secret.
With --out the key goes to a new file that only its owner can read; a file that is there already is never overwritten.

The algorithms are ` + algorithmNames() + `.`,
		Example: `  jotgate keys generate --alg ES256 --out signing.jwk
  jotgate keys jwks signing.jwk > jwks.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			algorithm, err := parseAlgorithm(alg)
			if err != nil {
				return err
			}
			if algorithm == 0 {
				return misused("--alg is required")
			}
			encode, err := privateEncoding(format)
			if err != nil {
				return err
			}
			key, err := jose.GenerateKey(algorithm)
			if err != nil {
				return err
			}
			if kid != "" {
				key = key.WithKeyID(kid)
			}
			text, err := encode(key)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			if err := writeSecret(out, text); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: private key for %s, kid %s\n", out, algorithm, key.KeyID())
			return err
		},
	}
	cmd.Flags().StringVar(&alg, "alg", "", "the algorithm that the key is for (required)")
	cmd.Flags().StringVar(&kid, "kid", "", "the key ID (default: the key's thumbprint)")
	cmd.Flags().StringVar(&format, "format", "jwk", "jwk or pem")
	complete(cmd, "alg", algorithmList())
	complete(cmd, "format", []string{"jwk", "pem"})
	cmd.Flags().StringVar(&out, "out", "", "file to write to (default: standard output)")
	return cmd
}

// privateEncoding returns the encoder of a private key for a --format or --to flag.
func privateEncoding(format string) (func(*jose.SigningKey) ([]byte, error), error) {
	switch format {
	case "jwk":
		return func(key *jose.SigningKey) ([]byte, error) {
			text, err := key.PrivateJWK()
			return indent(text), err
		}, nil
	case "pem":
		return (*jose.SigningKey).PrivatePEM, nil
	}
	return nil, misused("the format %q is not jwk or pem", format)
}
