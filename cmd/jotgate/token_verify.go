package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
)

// verification is what a token verify command line asks for.
type verification struct {
	jwks, key  string
	secret     secretFlags
	at         string
	skew       time.Duration
	skewSet    bool
	timeout    time.Duration
	provider   gate.Provider
	showClaims bool
	json       bool
}

// keysTimeout is how long the commands that judge tokens wait for keys.
const keysTimeout = 10 * time.Second

func newTokenVerifyCommand() *cobra.Command {
	var v verification
	cmd := &cobra.Command{
		Use:   "verify TOKEN | @FILE | - --alg ALGORITHM (--jwks FILE|URL | --key FILE | --secret-file FILE | --secret-env NAME)",
		Short: "Judge a token, check by check",
		Long: `Judge a token by the gateway's own rules and show every check. The exit code is 0 if the token is good, 1 if it is refused.

The algorithms that are accepted must be named: the token does not choose. Without --issuer or --audience, any will do.`,
		Example: `  jotgate token verify @token.txt --alg RS256 --jwks https://id.example.com/jwks --issuer https://id.example.com --audience tickets
  jotgate token verify - --alg ES256 --key public.pem < token.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v.skewSet = cmd.Flags().Changed("clock-skew")
			in := newInput(cmd)
			token, err := in.token(args[0])
			if err != nil {
				return err
			}
			if err := v.fill(in); err != nil {
				return err
			}
			found, err := v.run(cmd.Context(), token)
			if err != nil {
				return err
			}
			return found.report(cmd, v.json, "the token is good")
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&v.provider.Algorithms, "alg", nil, "an accepted algorithm; may be repeated (required)")
	f.StringVar(&v.jwks, "jwks", "", "the issuer's JWK Set: a file or a URL")
	f.StringVar(&v.key, "key", "", "the issuer's key: a file with PEM or a JWK, - for standard input")
	v.secret.register(cmd)
	f.StringVar(&v.provider.Issuer, "issuer", "", "the expected iss")
	f.StringSliceVar(&v.provider.Audiences, "audience", nil, "an expected aud; may be repeated")
	f.StringSliceVar(&v.provider.Subjects, "subject", nil, "an accepted sub; may be repeated (default: any)")
	f.StringSliceVar(&v.provider.Types, "typ", nil, "an accepted typ; may be repeated (default: none, JWT or at+jwt)")
	f.StringSliceVar(&v.provider.RequiredClaims, "require", nil, "a claim that must be there, as a dot path; may be repeated")
	f.DurationVar(&v.skew, "clock-skew", 0, "how far the issuer's clock may be off (default: as in a configuration that does not say)")
	f.DurationVar(&v.timeout, "timeout", keysTimeout, "how long to wait for keys that have to be fetched")
	f.StringVar(&v.at, "at", "", "the time to judge by, such as 2026-11-23T15:04:05Z (default: now)")
	f.BoolVar(&v.showClaims, "show-claims", false, "show the values of claims")
	f.BoolVar(&v.json, "json", false, "print JSON")
	complete(cmd, "alg", algorithmList())
	return cmd
}

// fill completes the provider by what the flags say.
func (v *verification) fill(in *input) error {
	p := &v.provider
	if len(p.Algorithms) == 0 {
		return misused("--alg is required")
	}
	p.SetDefaults()
	p.Fetch.SetDefaults()
	p.Fetch.StartWait = v.timeout
	p.Name = "the issuer"
	p.AnyIssuer, p.AnyAudience = p.Issuer == "", len(p.Audiences) == 0
	p.ClockSkew.SetDefaults()
	if v.skewSet {
		p.ClockSkew = gate.ClockSkew{Exp: v.skew, Nbf: v.skew, Iat: v.skew}
	}
	sources := 0
	for _, given := range []bool{v.jwks != "", v.key != "", v.secret.set()} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		return misused("one of --jwks, --key, --secret-file and --secret-env is required")
	}
	switch {
	case strings.HasPrefix(v.jwks, "https://"), strings.HasPrefix(v.jwks, "http://"):
		p.JWKSURLs = []string{v.jwks}
	case v.jwks != "":
		p.JWKSFile = v.jwks
	case v.key != "":
		text, err := publicPEM(in, v.key)
		if err != nil {
			return err
		}
		p.PublicKey = text
	default:
		secret, err := v.secret.read(in)
		if err != nil {
			return err
		}
		p.Secret, p.SecretBase64 = gate.NewSecret(base64.StdEncoding.EncodeToString(secret)), true
	}
	return nil
}

// publicPEM reads a key file of any kind and returns the public keys in it as PEM.
func publicPEM(in *input, path string) (string, error) {
	found, err := readKeyFile(in, path, 0)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, key := range found {
		block, err := key.public.MarshalPEM()
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		text.Write(block)
	}
	return text.String(), nil
}

// run judges the token as an API would that has this one provider.
func (v *verification) run(ctx context.Context, token string) (*verdict, error) {
	now := time.Now()
	if v.at != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, v.at); err != nil {
			return nil, misused("--at %s: a time such as 2026-11-23T15:04:05Z was expected", v.at)
		}
	}
	if err := withoutPaths(append(keys.Check(&v.provider), jwt.Check(&v.provider)...)); err != nil {
		return nil, err
	}
	manager := keys.NewManager(keys.Options{Log: slog.New(slog.DiscardHandler)})
	defer manager.Close()
	source, problems := manager.Acquire(&v.provider)
	if err := withoutPaths(problems); err != nil {
		return nil, err
	}
	defer source.Release()
	if err := source.WaitReady(ctx); err != nil {
		return nil, fmt.Errorf("getting the keys: %w", err)
	}
	provider, problems := jwt.NewProvider(&v.provider, source)
	if err := withoutPaths(problems); err != nil {
		return nil, err
	}
	verifier, err := jwt.New([]*jwt.Provider{provider})
	if err != nil {
		return nil, err
	}
	trace := new(gate.Trace)
	var denial *gate.Denial
	if _, err := verifier.Verify(ctx, token, now, trace); err != nil {
		denial = gate.AsDenial(err)
	}
	found := newVerdict(trace, denial, v.showClaims)
	return &found, nil
}

// withoutPaths is the error in the problems of a provider that was never in a configuration file.
func withoutPaths(problems gate.Problems) error {
	for i := range problems {
		problems[i].Path = ""
	}
	return problems.Err()
}
