package chatroom_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestREADMEProgramsCompile builds every whole program in README.md as its
// reader would: in a module of its own that requires this one. It needs no network.
func TestREADMEProgramsCompile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := 0
	for _, block := range goBlock.FindAllSubmatch(readme, -1) {
		if strings.HasPrefix(string(block[1]), "package main\n") {
			programs++
			compile(t, block[1])
		}
	}
	if programs == 0 {
		t.Error("there is no program in README.md")
	}
}

// compile vets and builds a program in a new module whose dependencies are this
// module and what it has.
func compile(t *testing.T, program []byte) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/chatroom-go/chatroom"
	own := strings.Replace(string(mod), "module "+path+"\n", "module example.com/host\n", 1)
	own += fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %q\n", path, path, root)
	dir := t.TempDir()
	for name, content := range map[string][]byte{"main.go": program, "go.mod": []byte(own), "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"vet", "."}, {"build", "-o", filepath.Join(dir, "host"), "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "PWD="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s\nin\n%s", args[0], err, out, program)
		}
	}
}
