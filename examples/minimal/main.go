// Command minimal is a whole chat: go run ./examples/minimal, then open
// http://localhost:8080 in two tabs and be two people.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os/signal"
	"syscall"
	"time"

	"github.com/chatroom-go/chatroom"
)

const welcome = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>chatroom</title>
<form><h1>Who are you?</h1><input name="name" required maxlength="40" pattern="[^/]+" autofocus> <button>Join</button></form></html>`

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	file := flag.String("db", "chat.db", "the SQLite file")
	flag.Parse()
	store, err := chatroom.OpenSQLite(*file)
	check(err)
	hub, err := chatroom.New(chatroom.Options{Store: store, Authenticate: whoIs})
	check(err)

	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if name := r.FormValue("name"); name != "" {
			http.Redirect(w, r, "/"+url.PathEscape(name)+"/", http.StatusSeeOther)
			return
		}
		fmt.Fprint(w, welcome)
	})
	http.HandleFunc("/{name}/", func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/"+r.PathValue("name"), hub).ServeHTTP(w, r)
	})
	listener, err := net.Listen("tcp", *addr)
	check(err)
	log.Printf("chat at http://%s", listener.Addr())
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)

	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	server.Shutdown(ctx)
	check(hub.Shutdown(ctx))
	check(store.Close())
}

// whoIs believes whoever opens /ann/ to be Ann, so that every tab can be
// somebody else. A real host looks into its session here.
func whoIs(r *http.Request) (chatroom.User, error) {
	return chatroom.User{ID: r.PathValue("name")}, nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
