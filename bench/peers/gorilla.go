package peers

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const gorillaModule = "github.com/gorilla/websocket"

// gorillaChat is built like gorilla's chat example: a hub goroutine per room, a
// reader and a writer goroutine per client with a queue of 256, a ticker for
// pings, and a writer that puts everything queued into one WebSocket message,
// a line each. The load counts the lines.
var gorillaChat = Server{
	Name: "gorilla", Module: gorillaModule,
	About: "hub and two goroutines per client, as its chat example (queued messages joined into one frame by newlines)",
	Serve: func(ln net.Listener, _ Options) (Stats, error) {
		return serveGorilla(ln, func(message []byte) []byte { return message }, writeLines)
	},
}

// gorillaPrepared is the same hub with its PreparedMessage: encoded once, a
// frame of its own for every message.
var gorillaPrepared = Server{
	Name: "gorilla prepared", Module: gorillaModule,
	About: "the same hub with PreparedMessage, one frame per message",
	Serve: func(ln net.Listener, _ Options) (Stats, error) {
		return serveGorilla(ln, func(message []byte) *websocket.PreparedMessage {
			p, err := websocket.NewPreparedMessage(websocket.TextMessage, message)
			if err != nil {
				panic(err) // only an unknown message type
			}
			return p
		}, func(conn *websocket.Conn, first *websocket.PreparedMessage, _ <-chan *websocket.PreparedMessage) error {
			return conn.WritePreparedMessage(first)
		})
	},
}

const (
	gorillaWriteWait  = 10 * time.Second
	gorillaPongWait   = 60 * time.Second
	gorillaPingPeriod = gorillaPongWait * 9 / 10
	gorillaReadLimit  = 512
	gorillaQueue      = 256
)

// gorillaHub is one room. T is what goes through a client's queue.
type gorillaHub[T any] struct {
	prepare    func([]byte) T
	write      func(conn *websocket.Conn, first T, queued <-chan T) error
	broadcast  chan []byte
	register   chan *gorillaClient[T]
	unregister chan *gorillaClient[T]
}

type gorillaClient[T any] struct {
	hub  *gorillaHub[T]
	conn *websocket.Conn
	send chan T
}

func serveGorilla[T any](ln net.Listener, prepare func([]byte) T, write func(*websocket.Conn, T, <-chan T) error) (Stats, error) {
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	var mu sync.Mutex
	hubs := map[string]*gorillaHub[T]{}
	hub := func(name string) *gorillaHub[T] {
		mu.Lock()
		defer mu.Unlock()
		h := hubs[name]
		if h == nil {
			h = &gorillaHub[T]{
				prepare: prepare, write: write,
				broadcast:  make(chan []byte),
				register:   make(chan *gorillaClient[T]),
				unregister: make(chan *gorillaClient[T]),
			}
			hubs[name] = h
			go h.run()
		}
		return h
	}
	return serveHTTP(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the upgrader has answered
		}
		c := &gorillaClient[T]{hub: hub(room(r)), conn: conn, send: make(chan T, gorillaQueue)}
		c.hub.register <- c
		go c.writeLoop()
		go c.readLoop()
	})(ln, Options{})
}

func (h *gorillaHub[T]) run() {
	clients := map[*gorillaClient[T]]bool{}
	leave := func(c *gorillaClient[T]) {
		if clients[c] {
			delete(clients, c)
			close(c.send)
		}
	}
	for {
		select {
		case c := <-h.register:
			clients[c] = true
		case c := <-h.unregister:
			leave(c)
		case message := <-h.broadcast:
			ready := h.prepare(message)
			for c := range clients {
				select {
				case c.send <- ready:
				default:
					leave(c) // too slow, as in the example
				}
			}
		}
	}
}

func (c *gorillaClient[T]) readLoop() {
	defer func() {
		c.hub.unregister <- c
		c.conn.Close()
	}()
	alive := func(string) error { return c.conn.SetReadDeadline(time.Now().Add(gorillaPongWait)) }
	c.conn.SetReadLimit(gorillaReadLimit)
	c.conn.SetPongHandler(alive)
	for err := alive(""); err == nil; {
		var message []byte
		if _, message, err = c.conn.ReadMessage(); err == nil {
			c.hub.broadcast <- message
		}
	}
}

func (c *gorillaClient[T]) writeLoop() {
	ticker := time.NewTicker(gorillaPingPeriod)
	defer ticker.Stop()
	defer c.conn.Close()
	for {
		var err error
		select {
		case first, open := <-c.send:
			c.conn.SetWriteDeadline(time.Now().Add(gorillaWriteWait))
			if !open {
				c.conn.WriteMessage(websocket.CloseMessage, nil)
				return
			}
			err = c.hub.write(c.conn, first, c.send)
		case <-ticker.C:
			c.conn.SetWriteDeadline(time.Now().Add(gorillaWriteWait))
			err = c.conn.WriteMessage(websocket.PingMessage, nil)
		}
		if err != nil {
			return
		}
	}
}

// writeLines sends first and everything queued behind it as lines of one message.
func writeLines(conn *websocket.Conn, first []byte, queued <-chan []byte) error {
	w, err := conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	w.Write(first)
	for range len(queued) {
		w.Write([]byte{'\n'})
		w.Write(<-queued)
	}
	return w.Close()
}
