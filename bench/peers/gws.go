package peers

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lxzan/gws"
)

const gwsPing = 30 * time.Second

// gwsChat keeps the connections of a room and sends with gws's Broadcaster,
// which compresses and frames once and writes through each connection's queue.
var gwsChat = Server{
	Name: "gws", Module: "github.com/lxzan/gws",
	About: "its Broadcaster over the connections of the room, as its documentation shows",
	Serve: func(ln net.Listener, o Options) (Stats, error) {
		h := &gwsHandler{rooms: map[string]map[*gws.Conn]bool{}}
		upgrader := gws.NewUpgrader(h, &gws.ServerOption{})
		return serveHTTP(func(w http.ResponseWriter, r *http.Request) {
			conn, err := upgrader.Upgrade(w, r)
			if err != nil {
				return // the upgrader has answered
			}
			h.join(conn, room(r))
			go conn.ReadLoop()
		})(ln, o)
	},
}

type gwsHandler struct {
	gws.BuiltinEventHandler
	mu    sync.RWMutex
	rooms map[string]map[*gws.Conn]bool
}

func (h *gwsHandler) join(conn *gws.Conn, name string) {
	conn.Session().Store("room", name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[name] == nil {
		h.rooms[name] = map[*gws.Conn]bool{}
	}
	h.rooms[name][conn] = true
}

func gwsRoom(conn *gws.Conn) string {
	name, _ := conn.Session().Load("room")
	s, _ := name.(string)
	return s
}

func (h *gwsHandler) OnOpen(conn *gws.Conn) { conn.SetDeadline(time.Now().Add(2 * gwsPing)) }

func (h *gwsHandler) OnClose(conn *gws.Conn, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.rooms[gwsRoom(conn)], conn)
}

func (h *gwsHandler) OnPing(conn *gws.Conn, payload []byte) {
	conn.SetDeadline(time.Now().Add(2 * gwsPing))
	conn.WritePong(payload)
}

func (h *gwsHandler) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	b := gws.NewBroadcaster(message.Opcode, message.Bytes())
	defer b.Close()
	h.mu.RLock()
	defer h.mu.RUnlock()
	for other := range h.rooms[gwsRoom(conn)] {
		b.Broadcast(other)
	}
}
