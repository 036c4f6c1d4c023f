package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jotgate/jotgate/jose"
)

// heldKey is one key of a document.
type heldKey struct {
	private *jose.SigningKey // nil for a public key
	public  *jose.Key        // never nil; for a shared secret it is the secret itself
}

// readKeys reads a JWK, a JWK Set or PEM, with public or private keys; every key must be usable. alg, unless 0, is the algorithm of keys that do not name one.
// Errors hold nothing of the document.
func readKeys(data []byte, alg jose.Algorithm) ([]heldKey, error) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return readPEM(trimmed, alg)
	}
	var document struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(trimmed, &document); err != nil {
		return nil, errors.New("neither PEM nor a JSON object")
	}
	if document.Keys == nil {
		key, err := readJWK(trimmed, alg)
		return []heldKey{key}, err
	}
	keys := make([]heldKey, 0, len(document.Keys))
	for i, text := range document.Keys {
		key, err := readJWK(text, alg)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set is empty")
	}
	return keys, nil
}

// readJWK reads one JWK.
func readJWK(text []byte, alg jose.Algorithm) (heldKey, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return heldKey{}, errors.New("the key is not a JSON object")
	}
	key, err := parseJWK(text, members)
	if err != nil || alg == 0 || key.public.Fits(alg) && members["alg"] != nil {
		return key, err
	}
	if members["alg"] != nil {
		return heldKey{}, fmt.Errorf("the key is for %s, not for %s", key.public.Algorithms(), alg)
	}
	members["alg"], _ = json.Marshal(alg.String()) // a string: cannot fail
	bound, err := json.Marshal(members)
	if err != nil {
		return heldKey{}, errors.New("the key cannot be encoded")
	}
	return parseJWK(bound, members)
}

func parseJWK(text []byte, members map[string]json.RawMessage) (heldKey, error) {
	isPrivate := members["d"] != nil || members["priv"] != nil || members["k"] != nil
	if isPrivate {
		private, err := jose.ParsePrivateJWK(text, jose.Limits{})
		if err != nil {
			return heldKey{}, err
		}
		return heldKey{private, private.Public()}, nil
	}
	public, err := jose.ParseKey(text, jose.SetOptions{})
	return heldKey{public: public}, err
}

func readPEM(text []byte, alg jose.Algorithm) ([]heldKey, error) {
	if bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		private, err := jose.ParsePrivatePEM(text, alg)
		if err != nil {
			return nil, err
		}
		return []heldKey{{private, private.Public()}}, nil
	}
	found, err := jose.ParsePEM(text)
	if err != nil {
		return nil, err
	}
	keys := make([]heldKey, 0, len(found))
	for _, key := range found {
		if alg != 0 {
			if key, err = key.WithAlgorithm(alg); err != nil {
				return nil, err
			}
		}
		keys = append(keys, heldKey{public: key})
	}
	return keys, nil
}

// parseAlgorithm reads the value of an --alg flag; "" is 0.
func parseAlgorithm(name string) (jose.Algorithm, error) {
	if name == "" {
		return 0, nil
	}
	alg, err := jose.ParseAlgorithm(name)
	if err != nil {
		return 0, misused("--alg %s: known are %s", name, algorithmNames())
	}
	return alg, nil
}

// algorithmList are the names of all algorithms.
func algorithmList() []string {
	all := jose.NewAlgorithms(jose.HS256, jose.HS384, jose.HS512).Union(jose.AsymmetricAlgorithms())
	return strings.Split(all.String(), ",")
}

// algorithmNames are all algorithms in one text.
func algorithmNames() string { return strings.Join(algorithmList(), ", ") }

// writeSecret makes a file that only its owner can read. A file that is there already is left alone.
func writeSecret(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the key: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the key: %w", err)
	}
	return nil
}

// indent is one JSON document, indented, with a line break at its end.
func indent(document []byte) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, document, "", "  "); err != nil {
		return document
	}
	out.WriteByte('\n')
	return out.Bytes()
}
