package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/chatroom-go/chatroom"
)

// Config is a server to be tested. It travels to a child process as JSON.
type Config struct {
	Store       string // path of an SQLite file; empty for a memory store
	AckAccepted bool
	StoreFirst  bool
	Journal     string // directory of a journal; empty for none
	Limits      chatroom.Limits
	Log         bool          // the hub's log to stderr
	Drain       time.Duration // how long Shutdown may take at SIGTERM; 10 s when 0

	// For a child only.
	StoreDelay  time.Duration // of every Append
	StoreHangs  int64         // from this Append on the store never returns; 0 for never
	StoreAway   string        // path of a file; while it is there the store is away as it says (Away)
	MemoryLimit int64         // GOMEMLIMIT in bytes
	Files       uint64        // RLIMIT_NOFILE
	FileSize    uint64        // RLIMIT_FSIZE, in bytes
}

// Free are limits that do not get into the way of a test.
func Free() chatroom.Limits {
	many := chatroom.Rate{PerSecond: 1e6, Burst: 1e6}
	return chatroom.Limits{
		Connections: 100_000, ConnectionsPerIP: 100_000, ConnectionsPerUser: 100_000,
		Messages: many, Frames: many, Joins: many,
	}
}

// Server is a hub behind a real HTTP server on loopback.
type Server struct {
	Hub      *chatroom.Hub
	http     *http.Server
	listener net.Listener
	hung     *atomic.Bool // set by a child whose store hangs
}

// ByName authenticates ?user=ann as the user ann.
func ByName(r *http.Request) (chatroom.User, error) {
	id := r.URL.Query().Get("user")
	if id == "" {
		return chatroom.User{}, errors.New("nobody")
	}
	return chatroom.User{ID: id}, nil
}

// Options are a hub's for the configuration.
func (c Config) Options(store chatroom.Store) chatroom.Options {
	opts := chatroom.Options{
		Store: store, Authenticate: ByName, StoreFirst: c.StoreFirst, Limits: c.Limits, Journal: c.Journal,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if c.AckAccepted {
		opts.Ack = chatroom.AckAccepted
	}
	if c.Log {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return opts
}

// Serve starts a server.
func Serve(opts chatroom.Options) (*Server, error) {
	hub, err := chatroom.New(opts)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, hub.Shutdown(context.Background()))
	}
	s := &Server{Hub: hub, listener: l, hung: new(atomic.Bool)}
	mux := http.NewServeMux()
	mux.Handle("/chat/", http.StripPrefix("/chat", hub))
	mux.HandleFunc("/figures", s.figures)
	mux.HandleFunc("/last", s.last)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelWarn)}
	go s.http.Serve(l) // ends with Close
	return s, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return SocketURL(s.Addr()) }

// Addr is the server's address.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// SocketURL is the WebSocket's URL of a server at addr.
func SocketURL(addr string) string { return "ws://" + addr + "/chat/ws" }

// Close shuts the hub down and then the HTTP server.
func (s *Server) Close(ctx context.Context) error {
	return errors.Join(s.Hub.Shutdown(ctx), s.http.Close())
}

// Figures are what a server's process uses.
type Figures struct {
	Stats      chatroom.Stats
	Goroutines int
	Heap       uint64 // bytes in use, after a collection
	Resident   int64  // bytes; 0 where that cannot be told
	Files      int    // open descriptors; 0 where that cannot be told
	Hung       bool   // a child's store hangs
}

// Measure reads the figures of this process.
func Measure(hub *chatroom.Hub) Figures {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f := Figures{Stats: hub.Stats(), Goroutines: runtime.NumGoroutine(), Heap: m.HeapAlloc}
	if dir, err := os.ReadDir("/proc/self/fd"); err == nil {
		f.Files = len(dir)
	}
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size, resident int64
		if _, err := fmt.Sscan(string(b), &size, &resident); err == nil {
			f.Resident = resident * int64(os.Getpagesize())
		}
	}
	return f
}

func (s *Server) figures(w http.ResponseWriter, _ *http.Request) {
	f := Measure(s.Hub)
	f.Hung = s.hung.Load()
	json.NewEncoder(w).Encode(f)
}

func (s *Server) last(w http.ResponseWriter, r *http.Request) {
	seq, err := s.Hub.Room(r.URL.Query().Get("room")).LastSeq(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, int64(seq))
}

// lastSeq asks the server at addr for the end of a room.
func lastSeq(ctx context.Context, addr, room string) (seq chatroom.Seq, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/last?room="+url.QueryEscape(room), nil)
	if err != nil {
		return 0, err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("asking for the end of %q: %s", room, r.Status)
	}
	_, err = fmt.Fscan(r.Body, &seq)
	return seq, err
}

// Settle waits until every client has the answers to its sends. Nobody is slow any more.
func (k *Checker) Settle(ctx context.Context) error {
	for _, c := range k.everybody() {
		c.Pause(false)
		if err := c.Settled(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Finish waits until every client has its answers and has seen all of its rooms on the
// server at addr, and closes the clients: then Verify can be called.
func (k *Checker) Finish(ctx context.Context, addr string) error {
	if err := k.Settle(ctx); err != nil {
		return err
	}
	clients := k.everybody()
	ends := make(map[string]chatroom.Seq)
	for _, c := range clients {
		for _, room := range c.wanted() {
			if _, ok := ends[room]; !ok {
				last, err := lastSeq(ctx, addr, room)
				if err != nil {
					return err
				}
				ends[room] = last
			}
			if err := c.Reached(ctx, room, ends[room]); err != nil {
				return err
			}
		}
		if err := c.Until(ctx, "its replies", func() bool { return len(c.waiting) == 0 }); err != nil {
			return err
		}
	}
	for _, c := range clients {
		c.Close()
	}
	return nil
}

func (c *Client) wanted() (rooms []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, v := range c.rooms {
		if v.wanted {
			rooms = append(rooms, name)
		}
	}
	return rooms
}
