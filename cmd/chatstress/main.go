//go:build linux || darwin

// Command chatstress puts a chatroom server under random load and faults, and
// checks that it kept its promises: nothing acknowledged is lost, nothing is there
// twice, everybody saw everything in order, and what was seen is what is stored.
//
//	go run ./cmd/chatstress                                        # a memory store, 30 s
//	go run ./cmd/chatstress -store chat.db -kill 2s -duration 5m   # SQLite, killed every 2 s or so
//	go run ./cmd/chatstress -seed 42                               # the same choices again
//
// It prints what it did and a verdict, and exits with status 1 when a promise was broken. A store that exists is
// written to, in rooms of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

type settings struct {
	seed     uint64
	duration time.Duration
	clients  int
	rooms    int
	store    string
	kill     time.Duration
	cut      time.Duration
	log      bool
}

func main() {
	faults.RunChild()
	var s settings
	flag.Uint64Var(&s.seed, "seed", 0, "repeat a run's random choices; 0 takes new ones")
	flag.DurationVar(&s.duration, "duration", 30*time.Second, "how long the clients work")
	flag.IntVar(&s.clients, "clients", 20, "how many clients")
	flag.IntVar(&s.rooms, "rooms", 3, "how many rooms")
	flag.StringVar(&s.store, "store", "memory", `"memory", or the path of an SQLite store`)
	flag.DurationVar(&s.kill, "kill", 0, "kill -9 the server about every so often; needs an SQLite store")
	flag.DurationVar(&s.cut, "cut", time.Second, "cut all connections about every so often; 0 for never")
	flag.BoolVar(&s.log, "log", false, "show the server's log")
	flag.Parse()
	if s.seed == 0 {
		s.seed = rand.Uint64N(1 << 40)
	}
	if err := s.run(); err != nil {
		fmt.Fprintln(os.Stderr, "chatstress:", err)
		fmt.Fprintf(os.Stderr, "chatstress: repeat with -seed %d\n", s.seed)
		os.Exit(1)
	}
}

// server is the one under test: in this process, or a child that can be killed.
type server struct {
	cfg   faults.Config
	addr  atomic.Pointer[string]
	child *faults.Child
	local *faults.Server
	store chatroom.Store // of a local server
}

func (s *server) start() (err error) {
	var addr string
	if s.cfg.Store != "" {
		if s.child, err = faults.StartChild(s.cfg); err != nil {
			return err
		}
		addr = s.child.Addr()
	} else {
		s.store = chatroom.NewMemoryStore()
		if s.local, err = faults.Serve(s.cfg.Options(s.store)); err != nil {
			return err
		}
		addr = s.local.Addr()
	}
	s.addr.Store(&addr)
	return nil
}

// end shuts the server down and returns its store, opened for reading.
func (s *server) end(ctx context.Context) (chatroom.Store, func() error, error) {
	if s.local != nil {
		return s.store, func() error { return nil }, s.local.Close(ctx)
	}
	said, err := s.child.Terminate()
	if err != nil {
		return nil, nil, err
	}
	if said.Unsaved > 0 || said.Error != "" {
		return nil, nil, fmt.Errorf("shutdown left %d events unsaved: %s", said.Unsaved, said.Error)
	}
	store, err := chatroom.OpenSQLite(s.cfg.Store)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

func (s *settings) run() error {
	fmt.Printf("seed %d, %d clients in %d rooms for %v, store %s\n", s.seed, s.clients, s.rooms, s.duration, s.store)
	srv := &server{cfg: faults.Config{Limits: faults.Free(), Log: s.log}}
	if s.store != "memory" {
		srv.cfg.Store = s.store
	} else if s.kill > 0 {
		return errors.New("-kill needs -store with a path: a memory store does not survive")
	}
	if err := srv.start(); err != nil {
		return err
	}
	proxy, err := faults.NewProxy(func() string { return *srv.addr.Load() })
	if err != nil {
		return err
	}
	defer proxy.Close()

	checker := faults.NewChecker()
	ops, kills, cuts, err := s.work(srv, proxy, checker)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := checker.Finish(ctx, *srv.addr.Load()); err != nil {
		return errors.Join(err, checker.Err())
	}
	store, closeStore, err := srv.end(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d operations, %d kills, %d cuts\n%v\nrefusals %v\n", ops, kills, cuts, checker.Counts(), checker.Refusals())
	if err := errors.Join(checker.Verify(ctx, store), closeStore()); err != nil {
		return err
	}
	fmt.Println("ok: nothing lost, nothing twice, no gap, no phantom, order kept, what is shown is what is stored")
	return nil
}

// work has clients work until the time is over, while the server is killed and the network cut.
func (s *settings) work(srv *server, proxy *faults.Proxy, checker *faults.Checker) (ops int64, kills, cuts int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.duration)
	defer cancel()
	var rooms []string
	for i := range s.rooms {
		rooms = append(rooms, fmt.Sprintf("stress-%d-%d", s.seed, i+1))
	}
	load := faults.Mixed(rooms...)
	load.Leave, load.Fresh, load.Pause, load.PauseMost = 2, 1, 1, 50*time.Millisecond
	var done atomic.Int64
	var all sync.WaitGroup
	for i := range s.clients {
		c := faults.Dial(fmt.Sprintf("user%d", i+1), checker, func() string { return faults.SocketURL(proxy.Addr()) }, nil)
		all.Go(func() { done.Add(int64(load.Drive(ctx, c, s.seed+uint64(i+1)<<40))) })
	}
	rng := rand.New(rand.NewPCG(s.seed, 1))
	kill, cut := every(rng, s.kill), every(rng, s.cut)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-cut:
			if cuts++; rng.IntN(2) == 0 {
				proxy.ResetAll()
			} else {
				proxy.CutAfter(int64(rng.IntN(5000)))
			}
			cut = every(rng, s.cut)
		case <-kill:
			kills++
			srv.child.Kill()
			if err = srv.start(); err != nil {
				cancel()
			}
			kill = every(rng, s.kill)
		}
	}
	all.Wait()
	return done.Load(), kills, cuts, err
}

// every returns a channel that fires once after d, more or less; never when d is 0.
func every(rng *rand.Rand, d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(time.Duration(rng.Int64N(int64(2 * d))))
}
