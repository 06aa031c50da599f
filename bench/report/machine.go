package report

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// Machine tells what the run was measured on.
func Machine() []string {
	facts := []string{fmt.Sprintf("%d CPUs: %s", runtime.NumCPU(), firstValue("/proc/cpuinfo", "model name"))}
	if kib := firstValue("/proc/meminfo", "MemTotal"); kib != "" {
		facts = append(facts, "memory: "+kib)
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		facts = append(facts, "Linux "+strings.TrimSpace(string(release)))
	}
	return append(facts, "clients and server on this one machine, over loopback, sharing its CPUs")
}

// firstValue is the value of the first "key : value" line of a file, or empty.
func firstValue(file, key string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if k, v, found := strings.Cut(line, ":"); found && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Versions are Go's and those of the modules that the executable was built with.
func Versions(modules []string) []string {
	versions := []string{runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for i, wanted := range modules {
		for _, m := range info.Deps {
			if m.Path == wanted && !slices.Contains(modules[:i], wanted) {
				versions = append(versions, strings.TrimPrefix(m.Path, "github.com/")+" "+m.Version)
			}
		}
	}
	return versions
}
