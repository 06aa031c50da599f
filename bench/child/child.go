//go:build linux

// Package child runs a measured server as a process of its own: the benchmark's
// executable started again with another first argument.
package child

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Command is the first argument that makes the benchmark's executable a server.
const Command = "serve"

// Ready is what a server prints, as one line of JSON, once it accepts members.
type Ready struct {
	Addr    string // for members
	Control string // for Memory and Stats
}

// Memory is a server's memory after a forced garbage collection.
type Memory struct {
	RSS        int64 // bytes, of the whole process
	Heap       int64 // bytes in use by Go objects
	Stacks     int64
	Goroutines int
}

// Process is a running server.
type Process struct {
	Ready
	PID   int
	cmd   *exec.Cmd
	stdin io.Closer
}

// Start starts the server with this name, with more arguments for its flags. It
// ends when Stop is called, when ctx ends, and when this process dies.
func Start(ctx context.Context, name string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{Command, name}, args...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("child %s: %w", name, err)
	}
	p := &Process{PID: cmd.Process.Pid, cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.Ready)
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("child %s did not start: %w", name, err)
	}
	return p, nil
}

// Stop ends the server, by force if it takes more than five seconds, and
// returns when it is gone.
func (p *Process) Stop() {
	p.stdin.Close()
	kill := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	p.cmd.Wait()
}

// Memory has the server collect its garbage, return what is free to the system,
// and measures what is left.
func (p *Process) Memory(ctx context.Context) (Memory, error) {
	var m Memory
	if err := p.get(ctx, "gc", &m); err != nil {
		return m, err
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/status")
	if err != nil {
		return m, fmt.Errorf("child: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				return m, fmt.Errorf("child: VmRSS: %w", err)
			}
			m.RSS = kib << 10
		}
	}
	return m, nil
}

// Stats reads the server's own counters.
func (p *Process) Stats(ctx context.Context) (map[string]float64, error) {
	var stats map[string]float64
	return stats, p.get(ctx, "stats", &stats)
}

func (p *Process) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.Control+"/"+path, nil)
	if err != nil {
		return fmt.Errorf("child: %w", err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("child: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("child: %s: %w", path, err)
	}
	return nil
}
