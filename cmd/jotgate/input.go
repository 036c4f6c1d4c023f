package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// maxInput is the most that is read of a token, key or claims document.
const maxInput = 4 << 20

// input reads what a command line refers to.
type input struct {
	stdin     io.Reader
	stdinUsed string // for what
}

func newInput(cmd *cobra.Command) *input { return &input{stdin: cmd.InOrStdin()} }

// file reads a file, or standard input for "-". what says what is read, for errors.
func (in *input) file(what, path string) ([]byte, error) {
	if path == "" {
		return nil, misused("the path of the %s is empty", what)
	}
	var source io.Reader
	if path == "-" {
		if in.stdinUsed != "" {
			return nil, misused("standard input cannot be both the %s and the %s", in.stdinUsed, what)
		}
		in.stdinUsed, source = what, in.stdin
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading the %s: %w", what, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		source = f
	}
	data, err := io.ReadAll(io.LimitReader(source, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w", what, err)
	}
	if len(data) > maxInput {
		return nil, fmt.Errorf("reading the %s: more than %d bytes", what, maxInput)
	}
	return data, nil
}

// argument reads an argument that is the text itself, "-" for standard input or "@path" for a file.
func (in *input) argument(what, arg string) ([]byte, error) {
	if arg == "-" {
		return in.file(what, "-")
	}
	if path, ok := strings.CutPrefix(arg, "@"); ok {
		return in.file(what, path)
	}
	return []byte(arg), nil
}

// token reads a token given as argument. Space around it is dropped, as files end in a line break; it is no part of any token.
func (in *input) token(arg string) (string, error) {
	data, err := in.argument("token", arg)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", errors.New("the token is empty")
	}
	return token, nil
}

// secretFlags name where a shared secret is. There is no flag for the secret itself: command lines are visible to every process of the machine.
type secretFlags struct {
	env, file string
	base64    bool
}

func (s *secretFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.env, "secret-env", "", "name of the environment variable with the shared secret")
	cmd.Flags().StringVar(&s.file, "secret-file", "", "file with the shared secret, - for standard input; one line break at its end is dropped")
	cmd.Flags().BoolVar(&s.base64, "secret-base64", false, "the secret is written in base64 (standard or URL alphabet)")
}

func (s *secretFlags) set() bool { return s.env != "" || s.file != "" }

// read returns the secret's bytes.
func (s *secretFlags) read(in *input) ([]byte, error) {
	if s.env != "" && s.file != "" {
		return nil, misused("--secret-env and --secret-file exclude each other")
	}
	var secret []byte
	if s.env != "" {
		value, ok := os.LookupEnv(s.env)
		if !ok {
			return nil, fmt.Errorf("the environment variable %s is not set", s.env)
		}
		secret = []byte(value)
	} else {
		data, err := in.file("secret", s.file)
		if err != nil {
			return nil, err
		}
		secret = []byte(strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"))
	}
	if len(secret) == 0 {
		return nil, errors.New("the secret is empty")
	}
	if !s.base64 {
		return secret, nil
	}
	return decodeBase64(strings.TrimSpace(string(secret)))
}

// decodeBase64 takes both alphabets, padded or not. The error does not repeat the input.
func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	decoded, err := encoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the secret is not base64")
	}
	return decoded, nil
}
