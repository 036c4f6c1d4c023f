package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/jose"
)

// signing is what a token sign command line asks for.
type signing struct {
	key, alg, kid, typ      string
	secret                  secretFlags
	issuer, subject, claims string
	audience, claim         []string
	expiresIn               time.Duration
	expiresSet              bool
}

func newTokenSignCommand() *cobra.Command {
	var s signing
	cmd := &cobra.Command{
		Use:   "sign (--key FILE | --secret-file FILE | --secret-env NAME)",
		Short: "Make a token",
		Long: `Make a signed token (compact JWS) and print it.

The claims are those of --claims-file, then those of the flags, which win. iat is the time now and exp is --expires-in later, unless the file has them.
The value of --claim is JSON if it can be read as JSON, and else a string: grp=admin is a string, level=3 a number, 'level="3"' a string, 'roles=["a","b"]' a list.

A PEM key and a shared secret do not say which algorithm they are for: give it with --alg.`,
		Example: `  jotgate token sign --key signing.jwk --issuer https://id.example.com --audience tickets --subject alice --claim grp=admin
  SECRET=... jotgate token sign --secret-env SECRET --alg HS256 --issuer https://old.example.com --audience tickets`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.expiresSet = cmd.Flags().Changed("expires-in")
			in := newInput(cmd)
			key, err := s.signingKey(in)
			if err != nil {
				return err
			}
			payload, err := s.payload(in, time.Now())
			if err != nil {
				return err
			}
			token, err := key.Sign(payload, jose.SigningHeader{Type: s.typ})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.key, "key", "", "file with the private key: JWK or PEM, - for standard input")
	s.secret.register(cmd)
	f.StringVar(&s.alg, "alg", "", "the algorithm, if the key does not name it")
	f.StringVar(&s.kid, "kid", "", "the kid header (default: the key's)")
	f.StringVar(&s.typ, "typ", "JWT", "the typ header; empty for none")
	f.StringVar(&s.issuer, "issuer", "", "the iss claim")
	f.StringVar(&s.subject, "subject", "", "the sub claim")
	f.StringArrayVar(&s.audience, "audience", nil, "the aud claim; may be repeated")
	f.DurationVar(&s.expiresIn, "expires-in", 5*time.Minute, "time until exp; negative for an expired token, 0 for none")
	f.StringArrayVar(&s.claim, "claim", nil, "another claim, NAME=VALUE; may be repeated")
	f.StringVar(&s.claims, "claims-file", "", "JSON file with claims, - for standard input")
	complete(cmd, "alg", algorithmList())
	return cmd
}

// signingKey reads the key, or the secret.
func (s *signing) signingKey(in *input) (*jose.SigningKey, error) {
	if (s.key != "") == s.secret.set() {
		return nil, misused("one of --key, --secret-file and --secret-env is required")
	}
	alg, err := parseAlgorithm(s.alg)
	if err != nil {
		return nil, err
	}
	var key *jose.SigningKey
	if s.key == "" {
		if alg == 0 {
			return nil, misused("a shared secret needs --alg HS256, HS384 or HS512")
		}
		secret, err := s.secret.read(in)
		if err != nil {
			return nil, err
		}
		if key, err = jose.NewSecretSigningKey(secret, jose.SecretOptions{Algorithm: alg}); err != nil {
			return nil, err
		}
	} else if key, err = s.keyFromFile(in, alg); err != nil {
		return nil, err
	}
	if s.kid != "" {
		key = key.WithKeyID(s.kid)
	}
	return key, nil
}

func (s *signing) keyFromFile(in *input, alg jose.Algorithm) (*jose.SigningKey, error) {
	data, err := in.file("key", s.key)
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(data, alg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.key, err)
	}
	if len(keys) != 1 {
		return nil, fmt.Errorf("%s holds %d keys; one is needed", s.key, len(keys))
	}
	key := keys[0].private
	switch {
	case key == nil:
		return nil, fmt.Errorf("%s is a public key; a private one is needed", s.key)
	case alg == 0 && ambiguous(data, key):
		return nil, misused("%s is a key for several algorithms; choose one with --alg", s.key)
	}
	return key, nil
}

// ambiguous reports whether the document leaves the algorithm of its key open.
func ambiguous(document []byte, key *jose.SigningKey) bool {
	var jwk struct{ Alg string }
	if json.Unmarshal(document, &jwk) == nil && jwk.Alg != "" {
		return false
	}
	switch key.Algorithm() {
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.HS256, jose.HS384, jose.HS512:
		return true
	}
	return false
}

// claimSet is the claims of a new token, as JSON by name.
type claimSet map[string]json.RawMessage

func (c claimSet) put(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the claim %s: %w", name, err)
	}
	c[name] = text
	return nil
}

// payload puts the claims together.
func (s *signing) payload(in *input, now time.Time) ([]byte, error) {
	set, err := s.readClaims(in)
	if err != nil {
		return nil, err
	}
	if _, given := set["iat"]; !given {
		err = errors.Join(err, set.put("iat", now.Unix()))
	}
	_, given := set["exp"]
	switch {
	case s.expiresIn == 0:
		delete(set, "exp")
	case !given || s.expiresSet:
		err = errors.Join(err, set.put("exp", now.Add(s.expiresIn).Unix()))
	}
	if s.issuer != "" {
		err = errors.Join(err, set.put("iss", s.issuer))
	}
	if s.subject != "" {
		err = errors.Join(err, set.put("sub", s.subject))
	}
	switch len(s.audience) {
	case 0:
	case 1:
		err = errors.Join(err, set.put("aud", s.audience[0]))
	default:
		err = errors.Join(err, set.put("aud", s.audience))
	}
	if err = errors.Join(err, s.addClaims(set)); err != nil {
		return nil, err
	}
	return json.Marshal(set)
}

// readClaims reads the file of claims, if there is one, as strictly as a verifier would read them.
func (s *signing) readClaims(in *input) (claimSet, error) {
	set := make(claimSet)
	if s.claims == "" {
		return set, nil
	}
	data, err := in.file("claims", s.claims)
	if err != nil {
		return nil, err
	}
	if _, err := claims.Parse(data, claims.Limits{}); err != nil {
		return nil, fmt.Errorf("%s: %w", s.claims, err)
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%s: not a JSON object", s.claims)
	}
	return set, nil
}

// addClaims adds what the --claim flags say.
func (s *signing) addClaims(set claimSet) error {
	for _, pair := range s.claim {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return misused("--claim must be NAME=VALUE")
		}
		if json.Valid([]byte(value)) {
			set[name] = json.RawMessage(value)
		} else if err := set.put(name, value); err != nil {
			return err
		}
	}
	return nil
}
