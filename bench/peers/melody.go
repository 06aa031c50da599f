package peers

import (
	"net"
	"net/http"

	"github.com/olahol/melody"
)

// melodyChat follows melody's examples: Broadcast in the chat, BroadcastFilter
// on the request's URL where there are several rooms. Its defaults hold.
var melodyChat = Server{
	Name: "melody", Module: "github.com/olahol/melody",
	About: "Broadcast as its chat example; BroadcastFilter by URL with rooms, as its multi-channel example",
	Serve: func(ln net.Listener, o Options) (Stats, error) {
		m := melody.New()
		m.HandleMessage(func(s *melody.Session, message []byte) {
			if !o.Rooms {
				m.Broadcast(message)
				return
			}
			m.BroadcastFilter(message, func(other *melody.Session) bool {
				return other.Request.URL.RawQuery == s.Request.URL.RawQuery
			})
		})
		return serveHTTP(func(w http.ResponseWriter, r *http.Request) { m.HandleRequest(w, r) })(ln, o)
	},
}
