// Package secret replaces references to environment variables and files in the text of a configuration by what they refer to.
package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	open   = "${"
	escape = "$${"
)

// Resolver expands references. It is safe for concurrent use if its functions are.
type Resolver struct {
	// LookupEnv finds an environment variable, as os.LookupEnv does. It is required.
	LookupEnv func(name string) (string, bool)
	// ReadFile returns the contents of a file. Its errors must not hold contents. It is required; that it ends, whatever the path names, is its own affair.
	ReadFile func(path string) ([]byte, error)
	// Dir is what relative file paths are relative to; "" is the working directory.
	Dir string
}

// Expand returns text with every reference replaced by its value, and the paths of the files that it tried to read, so that they can be watched.
//
// ${env:NAME} is the environment variable NAME, and ${file:PATH} the contents of a file without one final line end. Both may stand anywhere in the text, and
// more than once. Values are not expanded again. To get a literal "${", write "$${"; any other "$" is itself.
//
// A missing variable or file, an unknown scheme and a reference without end are errors. They name the reference, never a value nor the text around it. The
// paths are returned with an error too: the file may come to be.
func (r *Resolver) Expand(text string) (expanded string, files []string, err error) {
	var out strings.Builder
	for offset := 0; ; {
		i := strings.Index(text[offset:], open)
		if i < 0 {
			out.WriteString(text[offset:])
			return out.String(), files, nil
		}
		start := offset + i
		if i > 0 && text[start-1] == '$' {
			out.WriteString(text[offset : start-1])
			out.WriteString(open)
			offset = start + len(open)
			continue
		}
		out.WriteString(text[offset:start])
		length := strings.IndexByte(text[start:], '}')
		if length < 0 {
			return "", files, fmt.Errorf("the reference at byte %d has no closing brace; write %s for a literal %s", start+1, escape, open)
		}
		value, file, err := r.resolve(text[start+len(open):start+length], start)
		if file != "" {
			files = append(files, file)
		}
		if err != nil {
			return "", files, err
		}
		out.WriteString(value)
		offset = start + length + 1
	}
}

// resolve returns the value of one reference, and its file if it has one. What is between the braces is quoted in errors only once its scheme shows that it is
// meant as a reference: else it may be a piece of a password.
func (r *Resolver) resolve(reference string, start int) (value, file string, err error) {
	scheme, name, ok := strings.Cut(reference, ":")
	switch {
	case !ok || !isScheme(scheme):
		return "", "", fmt.Errorf("the reference at byte %d has no scheme; write ${env:NAME} or ${file:PATH}, or %s for a literal %s", start+1, escape, open)
	case strings.ContainsFunc(name, func(c rune) bool { return unicode.IsControl(c) || c == utf8.RuneError }): // errors repeat the name, on terminals and in logs
		return "", "", fmt.Errorf("the reference at byte %d has control characters in it, or bytes that are no UTF-8", start+1)
	case scheme == "env":
		value, err = r.variable(name)
		return value, "", err
	case scheme == "file":
		return r.contents(name)
	default:
		return "", "", fmt.Errorf("the reference at byte %d has the unknown scheme %q; known are env and file", start+1, scheme)
	}
}

func (r *Resolver) variable(name string) (string, error) {
	if name == "" {
		return "", errors.New("${env:} names no variable")
	}
	value, ok := r.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("${env:%s}: the environment variable is not set", name)
	}
	return value, nil
}

func (r *Resolver) contents(name string) (value, path string, err error) {
	if name == "" {
		return "", "", errors.New("${file:} names no file")
	}
	path = name
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.Dir, path)
	}
	data, err := r.ReadFile(path)
	if err != nil {
		return "", path, fmt.Errorf("${file:%s}: %w", name, withoutPath(err))
	}
	text := strings.TrimSuffix(string(data), "\n")
	if len(text) < len(data) {
		text = strings.TrimSuffix(text, "\r")
	}
	return text, path, nil
}

// withoutPath drops the operation and path that the file functions of package os put in front, because the reference says it already.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// isScheme reports whether s is short and made of lower-case letters.
func isScheme(s string) bool {
	const longest = 12
	if s == "" || len(s) > longest {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}
