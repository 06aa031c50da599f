// Command embedded is a host application that has its own login and its own
// pages, and shows chat rooms in them: cd examples/embedded && go run . and open
// http://localhost:8080 in two browsers.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"html/template"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/chatroom-go/chatroom"
)

//go:embed pages
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// people is the host's own user table; a real one checks a password.
var people = map[string]chatroom.User{
	"ann": {ID: "1001", Name: "Ann Ash"},
	"bob": {ID: "1002", Name: "Bob Birch"},
	"li":  {ID: "1003", Name: "李雷"},
}

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	file := flag.String("db", "chat.db", "the SQLite file")
	flag.Parse()

	store, err := chatroom.OpenSQLite(*file)
	check(err)
	app := &app{sessions: scs.New()}
	app.sessions.Lifetime = 12 * time.Hour
	app.hub, err = chatroom.New(chatroom.Options{Store: store, Authenticate: app.authenticate})
	check(err)

	server := &http.Server{Addr: *addr, Handler: app.routes(), ReadHeaderTimeout: 10 * time.Second}
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	stopped := make(chan error, 1) // main waits for it
	go func() { stopped <- server.ListenAndServe() }()
	log.Printf("open http://%s", *addr)
	select {
	case err := <-stopped:
		check(err)
	case <-stop.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check(errors.Join(server.Shutdown(ctx), app.hub.Shutdown(ctx), store.Close()))
}

type app struct {
	sessions *scs.SessionManager
	hub      *chatroom.Hub
}

// routes puts everything, the chat's upgrade too, behind the session middleware.
func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/chat/", http.StripPrefix("/chat", a.hub))
	mux.Handle("GET /pages/", http.FileServerFS(files))
	mux.HandleFunc("GET /{$}", a.page("home.html"))
	mux.HandleFunc("GET /ticker", a.page("ticker.html"))
	mux.HandleFunc("POST /login", a.login)
	mux.HandleFunc("POST /logout", a.logout)
	return http.NewCrossOriginProtection().Handler(a.sessions.LoadAndSave(secure(mux)))
}

// authenticate is all the chat needs to know of the host: who makes the request.
func (a *app) authenticate(r *http.Request) (chatroom.User, error) {
	user, ok := people[a.sessions.GetString(r.Context(), "login")]
	if !ok {
		return chatroom.User{}, errors.New("not signed in")
	}
	return user, nil
}

func (a *app) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, err := a.authenticate(r)
		data := struct {
			SignedIn bool
			User     chatroom.User
			Logins   map[string]chatroom.User
		}{err == nil, user, people}
		if err := pages.ExecuteTemplate(w, name, data); err != nil {
			log.Print(err)
		}
	}
}

func (a *app) login(w http.ResponseWriter, r *http.Request) {
	login := r.PostFormValue("login")
	if _, ok := people[login]; !ok {
		http.Error(w, "who is that?", http.StatusForbidden)
		return
	}
	if err := a.sessions.RenewToken(r.Context()); err != nil {
		http.Error(w, "no session", http.StatusInternalServerError)
		return
	}
	a.sessions.Put(r.Context(), "login", login)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	if err := a.sessions.Destroy(r.Context()); err != nil {
		log.Print(err)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// secure is the policy of a careful host; the chat needs nothing looser.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

func check(err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
