package peers

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// gobwasChat is the least a server in plain Go can do: a frame compiled once and
// one net.Conn.Write per member, from the goroutine that read the message. A
// member that does not read stops its room for up to 5 s.
var gobwasChat = Server{
	Name: "gobwas", Module: "github.com/gobwas/ws",
	About: "a compiled frame and one net.Conn.Write per member, in a loop",
	Serve: func(ln net.Listener, o Options) (Stats, error) {
		g := &gobwasServer{rooms: map[string]*gobwasRoom{}}
		return serveHTTP(g.serve)(ln, o)
	},
}

type gobwasRoom struct {
	mu      sync.Mutex // held while writing: frames of two senders must not mix
	members map[net.Conn]bool
}

type gobwasServer struct {
	mu    sync.Mutex
	rooms map[string]*gobwasRoom
}

func (g *gobwasServer) serve(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // the upgrade has answered
	}
	rm := g.room(room(r))
	rm.mu.Lock()
	rm.members[conn] = true
	rm.mu.Unlock()
	go func() { // ends with the connection
		defer conn.Close()
		for {
			message, err := wsutil.ReadClientText(conn)
			if err != nil {
				break
			}
			rm.broadcast(message)
		}
		rm.mu.Lock()
		defer rm.mu.Unlock()
		delete(rm.members, conn)
	}()
}

func (g *gobwasServer) room(name string) *gobwasRoom {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rooms[name] == nil {
		g.rooms[name] = &gobwasRoom{members: map[net.Conn]bool{}}
	}
	return g.rooms[name]
}

func (rm *gobwasRoom) broadcast(message []byte) {
	frame, err := ws.CompileFrame(ws.NewTextFrame(message))
	if err != nil {
		return
	}
	rm.mu.Lock()
	defer rm.mu.Unlock()
	deadline := time.Now().Add(5 * time.Second)
	for conn := range rm.members {
		conn.SetWriteDeadline(deadline)
		if _, err := conn.Write(frame); err != nil {
			conn.Close()
		}
	}
}
