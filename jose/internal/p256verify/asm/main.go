// Command asm writes the assembly of package p256verify, and the Go declarations of its functions.
// It is a module of its own, so that what it needs is no dependency of what it generates.
// "go generate" in the folder above runs it; its test sees that the committed files are what it writes.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: asm folder")
	}
	files, err := generate()
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// generate returns the files by name.
func generate() (map[string][]byte, error) {
	c := build.NewContext()
	c.ConstraintExpr("amd64")
	multiply(c)
	square(c)
	slope(c)
	chord(c)
	file, err := c.Result()
	if err != nil {
		return nil, fmt.Errorf("building: %w", err)
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	return render(file)
}

func render(file *ir.File) (map[string][]byte, error) {
	config := printer.Config{Name: "asm/main.go", Pkg: "p256verify"}
	text, err := printer.NewGoAsm(config).Print(file)
	stubs, stubsErr := printer.NewStubs(config).Print(file)
	if err := errors.Join(err, stubsErr); err != nil {
		return nil, fmt.Errorf("printing: %w", err)
	}
	return map[string][]byte{"field_amd64.s": text, "field_amd64.go": stubs}, nil
}
