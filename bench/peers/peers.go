//go:build linux

// Package peers holds the servers that are measured: for each library a chat
// room as its own documentation builds it, the raw limit of one write(2) per
// member, and chatroom itself. Each runs in a process of its own.
//
// The peers get a text message and broadcast it, as it is, to the room named in
// the query string. Nothing is stored, nobody is authorised, no JSON is read.
package peers

import (
	"net"
	"net/http"
)

// Server is one way to serve a chat.
type Server struct {
	Name   string
	About  string // what it does, in one line
	Module string // whose version is reported; empty for none
	// Serve accepts members on ln until the process ends.
	Serve func(ln net.Listener, o Options) (Stats, error)
}

// Options is what a work asks of a server, beyond its defaults.
type Options struct {
	Rooms bool   // members are in rooms; otherwise in one, and no server has to filter
	Dir   string // where chatroom keeps its database
}

// Stats reads counters of the server's own. Nil when it has none.
type Stats func() map[string]float64

// All is every server, in the order in which they are run and shown.
var All = []Server{
	rawLimit,
	gorillaChat,
	gorillaPrepared,
	melodyChat,
	gwsChat,
	coderChat,
	gobwasChat,
	chatroomWhole,
}

// Echo is not a chat: what a bare WebSocket costs.
var Echo = coderEcho

// Find returns the server with this name.
func Find(name string) (Server, bool) {
	for _, s := range append([]Server{Echo}, All...) {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// serveHTTP is how every peer but the raw limit is mounted.
func serveHTTP(h http.HandlerFunc) func(net.Listener, Options) (Stats, error) {
	return func(ln net.Listener, _ Options) (Stats, error) {
		go http.Serve(ln, h) // lives as long as the process
		return nil, nil
	}
}

func room(r *http.Request) string { return r.URL.Query().Get("room") }
