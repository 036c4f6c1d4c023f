package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/admin"
	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/manage"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/secret"
	"github.com/jotgate/jotgate/internal/server"
	"github.com/jotgate/jotgate/internal/usage"
)

// ReadFile reads one file of a configuration.
type ReadFile func(path string) ([]byte, error)

// Load reads a configuration from wherever it is; files only through read, so that what was read can be watched.
type Load func(read ReadFile) Loaded

// Loaded is a configuration as it was read.
type Loaded struct {
	// Source is the name for logs and status.
	Source string
	// Hash identifies the documents that the configuration was made from.
	Hash string
	// Config is used only if Problems holds no errors.
	Config *gate.Config
	// Problems are all mistakes that could be found without starting anything. They do not show what references stand for.
	Problems gate.Problems
}

// File returns a Load that reads a native document.
func File(path string) Load {
	return func(read ReadFile) Loaded {
		loaded := Loaded{Source: path}
		digest := sha256.New()
		hashed := func(path string) ([]byte, error) {
			data, err := read(path)
			_, _ = fmt.Fprintf(digest, "%s %d %t\n%s", path, len(data), err == nil, data) // a hash never fails
			return data, err
		}
		data, err := hashed(path)
		if err != nil {
			loaded.Problems = gate.Problems{{Source: path, Message: describe(err)}}
			return loaded
		}
		dir := filepath.Dir(path)
		known := newReferences(dir)
		resolver := secret.Resolver{Dir: dir, LookupEnv: known.lookup(os.LookupEnv), ReadFile: known.read(hashed)}
		result := native.Load(path, data, dir, known.expand(resolver.Expand))
		loaded.Hash = hex.EncodeToString(digest.Sum(nil))
		loaded.Config, loaded.Problems = result.Config, result.Problems
		if result.Draft != nil {
			loaded.Problems = append(loaded.Problems, unrelated(Check(result.Draft), result)...).Sort()
		}
		loaded.Problems = known.hide(loaded.Problems)
		return loaded
	}
}

// unrelated returns those of found that do not merely follow from errors that are already known: what could not be read must not be reported as missing too.
func unrelated(found gate.Problems, read native.Result) gate.Problems {
	errs := read.Problems.Errors()
	return slices.DeleteFunc(found, func(p gate.Problem) bool {
		return slices.ContainsFunc(errs, func(e gate.Problem) bool { return within(p.Path, e.Path) }) ||
			slices.ContainsFunc(read.Lost, func(lost string) bool { return within(lost, p.Path) })
	})
}

// within reports whether a path is another one or a part of what is there.
func within(path, whole string) bool {
	rest, ok := strings.CutPrefix(path, whole)
	return ok && whole != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func describe(err error) string {
	var failed *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.As(err, &failed):
		return "the file cannot be read: " + failed.Err.Error()
	}
	return "the file cannot be read: " + err.Error()
}

// Check reports everything that is wrong with a configuration, without network and without starting anything.
func Check(config *gate.Config) gate.Problems {
	return append(engine.Check(config), checkDoors(config)...).Sort()
}

// checkDoors checks what is not the engine's: listeners, the admin address, logs, shutdown.
func checkDoors(config *gate.Config) gate.Problems {
	var problems gate.Problems
	for i := range config.Listeners {
		problems = append(problems, server.Check(&config.Listeners[i])...)
	}
	problems = append(problems, admin.Check(&config.Admin)...)
	problems = append(problems, manage.Check(config.Admin.Tokens)...)
	problems = append(problems, checkState(config)...)
	problems = append(problems, usage.Check(&config.Usage)...)
	if _, ok := observe.ParseLevel(config.Log.Level); !ok {
		problems = append(problems, config.Log.Origin.Problem("level", "use debug, info, warn or error", "unknown log level %q", config.Log.Level))
	}
	if config.Shutdown.Delay < 0 || config.Shutdown.Timeout <= 0 {
		problems = append(problems, config.Shutdown.Origin.Problem("", "for example timeout: 30s", "the delay cannot be negative, and the timeout must be positive"))
	}
	return problems
}
