// Command asm writes the assembly of package rsaverify, and the Go declarations of its functions.
// It is a module of its own, so that what it needs is no dependency of what it generates.
// "go generate" in the folder above runs it; its test sees that the committed files are what it writes.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
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
	for _, size := range []struct{ limbs, vectors int }{{40, 5}, {60, 8}, {80, 10}} {
		ifma(c, size.limbs, size.vectors)
	}
	for _, limbs := range []int{32, 48, 64} {
		adx(c, limbs)
	}
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
	config := printer.Config{Name: "asm/main.go", Pkg: "rsaverify"}
	text, err := printer.NewGoAsm(config).Print(file)
	stubs, stubsErr := printer.NewStubs(config).Print(file)
	if err := errors.Join(err, stubsErr); err != nil {
		return nil, fmt.Errorf("printing: %w", err)
	}
	return map[string][]byte{"mul_amd64.s": text, "mul_amd64.go": stubs}, nil
}

// begin starts a function without a stack frame.
func begin(c *build.Context, name, results, doc string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(z, x, y, n *[80]uint64, k0 uint64)" + results)
	c.Pragma("noescape")
	c.Doc(strings.Split(doc, "\n")...)
}

func argument(c *build.Context, name string) reg.GPVirtual {
	return c.Load(c.Param(name), c.GP64()).(reg.GPVirtual)
}

// word is limb i behind p.
func word(p reg.Register, i int) operand.Mem { return operand.Mem{Base: p, Disp: 8 * i} }
