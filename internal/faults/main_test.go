//go:build linux || darwin

package faults_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

var (
	long     = flag.Bool("long", false, "run the long variants of the fault tests")
	seedFlag = flag.Uint64("seed", 0, "repeat a random run; 0 takes a new seed")
)

func TestMain(m *testing.M) {
	faults.RunChild()
	runControl()
	flag.Parse()
	code := m.Run()
	if code == 0 {
		if left := leaked(); left != "" {
			fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
			code = 1
		}
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines that run our code, once none is about to end any more.
func leaked() string {
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		buf := make([]byte, 8<<20)
		left = left[:0]
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "chatroom") && !strings.Contains(g, "TestMain") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return ""
		}
	}
	return strings.Join(left, "\n\n")
}

// either returns a value for the short run or one for the long run.
func either[T any](short, longer T) T {
	if *long {
		return longer
	}
	return short
}

// beside lets a short test that mostly waits run beside others.
func beside(t *testing.T) {
	if !*long {
		t.Parallel()
	}
}

// world is one test's server, clients and checker.
type world struct {
	*faults.Checker
	t    *testing.T
	ctx  context.Context
	seed uint64
	rng  *rand.Rand
	addr atomic.Pointer[string]

	clients []*faults.Client
	work    sync.WaitGroup
	stop    context.CancelFunc // of the work
	working context.Context
}

// newWorld gives the test a seed, and patience for all of it.
func newWorld(t *testing.T, patience time.Duration) *world {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64N(1 << 40)
	}
	t.Logf("seed %d (repeat with -seed %d)", seed, seed)
	w := &world{Checker: faults.NewChecker(), t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(context.Background(), patience)
	w.working, w.stop = context.WithCancel(w.ctx)
	t.Cleanup(func() {
		cancel()
		w.work.Wait()
		for _, c := range w.clients {
			c.Close()
		}
	})
	return w
}

// at makes clients connect to addr from now on.
func (w *world) at(addr string) { w.addr.Store(&addr) }

func (w *world) url() string { return faults.SocketURL(*w.addr.Load()) }

// dial starts n clients called user1, user2 …
func (w *world) dial(n int, user string) []*faults.Client {
	first := len(w.clients)
	for i := range n {
		w.clients = append(w.clients, faults.Dial(fmt.Sprintf("%s%d", user, i+1), w.Checker, w.url, nil))
	}
	return w.clients[first:]
}

// drive sets clients to work, each with a seed of its own.
func (w *world) drive(load faults.Workload, clients ...*faults.Client) {
	for i, c := range clients {
		seed := w.seed + uint64(i+1)<<40
		w.work.Go(func() { load.Drive(w.working, c, seed) })
	}
}

// rest ends the work.
func (w *world) rest() {
	w.stop()
	w.work.Wait()
}

// serve starts a server in this process and closes it when the test ends.
func (w *world) serve(opts chatroom.Options) *faults.Server {
	w.t.Helper()
	s, err := faults.Serve(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.at(s.Addr())
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			w.t.Errorf("closing the server; %v", err)
		}
	})
	return s
}

// child starts a child server and kills it when the test ends.
func (w *world) child(cfg faults.Config, wrap ...string) *faults.Child {
	w.t.Helper()
	c, err := faults.StartChild(cfg, wrap...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.at(c.Addr())
	w.t.Cleanup(c.Kill)
	return c
}

// finish ends the work, waits until all is quiet and compares everything with the store.
func (w *world) finish(store chatroom.Store) {
	w.t.Helper()
	w.quiet()
	w.verify(store)
}

// pause lets up to most pass: what is killed afterwards is killed at a random moment.
func (w *world) pause(most time.Duration) {
	moment := time.NewTimer(time.Duration(w.rng.Int64N(int64(most))))
	<-moment.C
}

// end has a server save everything and go.
func (w *world) end(child *faults.Child) {
	w.t.Helper()
	s, err := child.Terminate()
	w.must(err)
	if s.Unsaved != 0 || s.Error != "" {
		w.t.Errorf("the last server ended with %+v", s)
	}
}

// quiet ends the work and the clients, once they have seen everything.
func (w *world) quiet() {
	w.t.Helper()
	w.rest()
	if err := w.Finish(w.ctx, *w.addr.Load()); err != nil {
		w.t.Error(w.Err())
		w.t.Fatal(err)
	}
}

// stored waits until the store has, or has refused, everything that the server accepted.
func (w *world) stored(srv *faults.Server) {
	w.t.Helper()
	w.await("an empty queue", func() bool { return srv.Hub.Stats().QueueEvents == 0 })
}

func (w *world) verify(store chatroom.Store) {
	w.t.Helper()
	if err := w.Verify(context.Background(), store); err != nil {
		w.t.Error(err)
	}
	w.t.Logf("%v; refusals %v", w.Counts(), w.Refusals())
}

// must fails the test at an error.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// acks waits until n more messages have been acknowledged.
func (w *world) acks(n int) {
	w.t.Helper()
	want := w.Counts().Acked + n
	w.await(fmt.Sprintf("%d acks", want), func() bool { return w.Counts().Acked >= want })
}

// await waits until cond holds. It looks every millisecond: what it waits for
// happens in another process or in many clients.
func (w *world) await(what string, cond func() bool) {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			for _, c := range w.clients {
				w.t.Logf("%s: %s", c.User, c.State())
			}
			w.t.Fatalf("waited in vain for %s; %v; %v", what, w.Counts(), w.Err())
		}
	}
}

// sqlite opens the store at path until the test ends.
func (w *world) sqlite(path string) *chatroom.SQLite {
	w.t.Helper()
	s, err := chatroom.OpenSQLite(path)
	w.must(err)
	w.t.Cleanup(func() { s.Close() })
	return s
}

func (w *world) path() string { return filepath.Join(w.t.TempDir(), "chat.db") }

func freely() faults.Config { return faults.Config{Limits: faults.Free()} }
