package nuvlaops_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A hint is read by an operator, who has flags and no fields: those belong into Resource, and into docstrings.
func TestHintsNameNoFieldOfTheAPI(t *testing.T) {
	field := regexp.MustCompile(`(Options|Request)\.[A-Z]|\(([A-Z][a-z]+){2,}\)`)
	hints := 0
	for _, dir := range []string{"snapshot", "restore", "zkjobs", "stack", "internal"} {
		walk := func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				pair, ok := n.(*ast.KeyValueExpr)
				if !ok {
					return true
				}
				if key, ok := pair.Key.(*ast.Ident); !ok || !strings.EqualFold(key.Name, "hint") {
					return true
				}
				ast.Inspect(pair.Value, func(n ast.Node) bool {
					text, ok := n.(*ast.BasicLit)
					if !ok || text.Kind != token.STRING {
						return true
					}
					hints++
					if said, err := strconv.Unquote(text.Value); err != nil || field.MatchString(said) {
						t.Errorf("%s: hint %s names a field of the API", path, text.Value)
					}
					return true
				})
				return true
			})
			return nil
		}
		if err := filepath.WalkDir(dir, walk); err != nil {
			t.Fatal(err)
		}
	}
	if hints < 50 {
		t.Errorf("only %d hints were found", hints)
	}
}
