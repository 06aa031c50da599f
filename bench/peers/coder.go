package peers

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const coderModule = "github.com/coder/websocket"

const (
	coderQueue        = 16
	coderWriteTimeout = 5 * time.Second
)

// coderChat is built like coder/websocket's chat example: a set of subscribers
// under a mutex, a queue of 16 each, one Write per message with a deadline of
// 5 s. Unlike there, messages come in over the socket instead of by POST, and
// nobody limits their rate.
var coderChat = Server{
	Name: "coder", Module: coderModule,
	About: "subscribers with a queue of 16 and a goroutine each, as its chat example",
	Serve: func(ln net.Listener, o Options) (Stats, error) {
		c := &coderServer{rooms: map[string]map[*coderSubscriber]bool{}}
		return serveHTTP(c.serve)(ln, o)
	},
}

// coderEcho sends every message back to its sender, and does nothing else.
var coderEcho = Server{
	Name: "coder echo", Module: coderModule,
	About: "echoes to the sender",
	Serve: func(ln net.Listener, o Options) (Stats, error) {
		return serveHTTP(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				return // Accept has answered
			}
			defer conn.CloseNow()
			for {
				kind, message, err := conn.Read(r.Context())
				if err != nil {
					return
				}
				if conn.Write(r.Context(), kind, message) != nil {
					return
				}
			}
		})(ln, o)
	},
}

type coderSubscriber struct {
	messages  chan []byte
	closeSlow func()
}

type coderServer struct {
	mu    sync.Mutex
	rooms map[string]map[*coderSubscriber]bool
}

func (c *coderServer) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	name := room(r)
	s := &coderSubscriber{
		messages:  make(chan []byte, coderQueue),
		closeSlow: func() { conn.Close(websocket.StatusPolicyViolation, "connection too slow to keep up with messages") },
	}
	c.add(name, s)
	defer c.remove(name, s)
	ctx, cancel := context.WithCancel(r.Context())
	go func() { // ends with the connection, and ends the writer below
		defer cancel()
		for {
			_, message, err := conn.Read(ctx)
			if err != nil {
				return
			}
			c.publish(name, message)
		}
	}()
	for {
		select {
		case message := <-s.messages:
			if writeWithin(ctx, conn, message) != nil {
				cancel()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func writeWithin(ctx context.Context, conn *websocket.Conn, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, coderWriteTimeout)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, message)
}

func (c *coderServer) publish(name string, message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.rooms[name] {
		select {
		case s.messages <- message:
		default:
			go s.closeSlow() // bounded by the library's close timeout
		}
	}
}

func (c *coderServer) add(name string, s *coderSubscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rooms[name] == nil {
		c.rooms[name] = map[*coderSubscriber]bool{}
	}
	c.rooms[name][s] = true
}

func (c *coderServer) remove(name string, s *coderSubscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rooms[name], s)
}
