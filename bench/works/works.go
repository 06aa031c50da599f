//go:build linux

// Package works holds the works that are measured, one file each. A work runs
// every server in turn, each in a fresh process, round after round, and reports
// the median of the rounds: what disturbs the machine then disturbs all of them.
package works

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
)

// Env is what all works share.
type Env struct {
	Servers []peers.Server // which are measured
	Rounds  int
	Quick   bool          // small and short: to see that it works
	Wait    time.Duration // how long to wait for a quiet machine before each measurement
	Deep    bool          // work h goes up to 50 million stored rows
	Log     io.Writer     // progress
	Cache   string        // directory for generated databases
}

// Work is one kind of work.
type Work struct {
	ID, Title string
	Run       func(context.Context, *Env) (*report.Section, error)
}

// All is every work, in the order in which they are run.
var All = []Work{
	{"a", "Burst", burst},
	{"b", "Serial", serial},
	{"c", "Rooms", rooms},
	{"d", "Idle", idle},
	{"e", "Inbound", inbound},
	{"f", "History", history},
	{"g", "Storm", storm},
	{"h", "Growth", growth},
}

// The names of the servers that targets speak of.
const (
	ours     = "chatroom"
	limit    = "raw limit"
	textSize = 200
)

// isPeer says whether a server is one that chatroom is compared with.
func isPeer(name string) bool { return name != ours && name != limit }

func (e *Env) logf(format string, args ...any) { fmt.Fprintf(e.Log, format+"\n", args...) }

// size chooses between the real size of a work and that of a quick run.
func size[T any](e *Env, full, quick T) T {
	if e.Quick {
		return quick
	}
	return full
}

// eachServer calls measure once per round and server, each time with a fresh
// process. A server that fails is left out of its work and named in a note.
func eachServer[T any](ctx context.Context, e *Env, rounds int, args []string, measure func(context.Context, *child.Process, peers.Server) (T, error)) (results map[string][]T, notes []string, err error) {
	results = map[string][]T{}
	failed := map[string]bool{}
	for round := range rounds {
		for _, server := range e.Servers {
			if failed[server.Name] {
				continue
			}
			result, err := withServer(ctx, e, server.Name, args, func(ctx context.Context, p *child.Process) (T, error) {
				return measure(ctx, p, server)
			})
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			if err != nil {
				failed[server.Name] = true
				delete(results, server.Name)
				notes = append(notes, fmt.Sprintf("%s failed: %+v", server.Name, err))
				e.logf("  round %d %-17s failed: %+v", round+1, server.Name, err)
				continue
			}
			results[server.Name] = append(results[server.Name], result)
		}
	}
	return results, notes, nil
}

// waitQuiet waits until nothing else keeps a tenth of a core busy, or Wait is over.
func (e *Env) waitQuiet(ctx context.Context) error {
	for end := time.Now().Add(e.Wait); time.Now().Before(end); {
		busy, err := load.Busy(ctx, 500*time.Millisecond)
		if err != nil || busy < 0.1 {
			return err
		}
	}
	return nil
}

// withServer runs one server for the time of measure, at most three minutes.
func withServer[T any](ctx context.Context, e *Env, name string, args []string, measure func(context.Context, *child.Process) (T, error)) (result T, err error) {
	if err := e.waitQuiet(ctx); err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	dir, err := e.runDir()
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	p, err := child.Start(ctx, name, append([]string{"-dir", dir}, args...)...)
	if err != nil {
		return result, err
	}
	defer p.Stop()
	return measure(ctx, p)
}

// runDir makes a directory for one run's database, to be removed by the caller.
// It is in the cache: the directory of temporary files may be memory.
func (e *Env) runDir() (string, error) {
	if err := os.MkdirAll(e.Cache, 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(e.Cache, "run-")
}

// median returns the middle one of the results by key.
func median[T any, K cmp.Ordered](results []T, key func(T) K) K {
	keys := make([]K, len(results))
	for i, r := range results {
		keys[i] = key(r)
	}
	slices.Sort(keys)
	return keys[len(keys)/2]
}

// best returns the peer whose value is highest, and false without any peer.
func best(values map[string]float64) (name string, value float64, found bool) {
	for n, v := range values {
		if isPeer(n) && (!found || v > value) {
			name, value, found = n, v, true
		}
	}
	return name, value, found
}

// connect opens a work's members against a running server.
func connect(ctx context.Context, p *child.Process, server peers.Server, members, rooms int) (*load.Swarm, error) {
	return load.Connect(ctx, load.Config{
		Addr: p.Addr, PID: p.PID, Members: members, Rooms: rooms, Protocol: protocolOf(server.Name, rooms > 1),
	})
}
