//go:build linux

package child

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof" // the control address serves profiles: go tool pprof http://…/debug/pprof/profile
	"os"
	"runtime"
	"runtime/debug"

	"github.com/chatroom-go/chatroom/bench/peers"
)

// Serve is the server's side: it runs the server that args name until standard
// input ends, which it does when the benchmark stops it or dies.
func Serve(args []string) error {
	flags := flag.NewFlagSet(Command, flag.ContinueOnError)
	var o peers.Options
	flags.BoolVar(&o.Rooms, "rooms", false, "members are in rooms")
	flags.StringVar(&o.Dir, "dir", "", "directory of the database")
	addr := flags.String("addr", "127.0.0.1:0", "address for members")
	control := flags.String("control", "127.0.0.1:0", "address for memory, counters and profiles")
	if len(args) < 1 {
		return fmt.Errorf("%s needs the name of a server", Command)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	server, found := peers.Find(args[0])
	if !found {
		return fmt.Errorf("no server is called %q", args[0])
	}
	members, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	stats, err := server.Serve(members, o)
	if err != nil {
		return err
	}
	controller, err := net.Listen("tcp", *control)
	if err != nil {
		return err
	}
	http.HandleFunc("/gc", collect)
	http.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		if stats == nil {
			stats = func() map[string]float64 { return nil }
		}
		json.NewEncoder(w).Encode(stats())
	})
	go http.Serve(controller, nil) // lives as long as the process
	if err := json.NewEncoder(os.Stdout).Encode(Ready{members.Addr().String(), controller.Addr().String()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// collect answers with the memory in use after two collections: the first one
// queues finalizers, the second frees what they held.
func collect(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	json.NewEncoder(w).Encode(Memory{
		Heap: int64(m.HeapAlloc), Stacks: int64(m.StackInuse), Goroutines: runtime.NumGoroutine(),
	})
}
