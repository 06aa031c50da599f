package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

var (
	ann = chatroom.User{ID: "u1", Name: "Ann"}
	bob = chatroom.User{ID: "u2", Name: "Bob"}
)

// signedIn stands for the host's own session.
func signedIn(r *http.Request) (chatroom.User, error) {
	if r.Header.Get("X-User") == "ann" {
		return ann, nil
	}
	return bob, nil
}

// exampleHub is a hub of an application that has said how to store and who is who.
func exampleHub(opts chatroom.Options) *chatroom.Hub {
	opts.Store = chatroom.NewMemoryStore()
	opts.Authenticate = signedIn
	hub, err := chatroom.New(opts)
	if err != nil {
		log.Fatal(err)
	}
	return hub
}

// postJSON is a client's POST to a room, and what it is answered.
func postJSON(h http.Handler, path, body string) string {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
}

func Example() {
	store := chatroom.NewMemoryStore() // or chatroom.OpenSQLite("chat.db")
	hub, err := chatroom.New(chatroom.Options{Store: store, Authenticate: signedIn})
	if err != nil {
		log.Fatal(err)
	}
	defer hub.Shutdown(context.Background())

	mux := http.NewServeMux() // the host's, with the rest of its routes
	mux.Handle("/chat/", http.StripPrefix("/chat", hub))

	// What a client does over HTTP; browsers talk WebSocket at /chat/ws.
	answer := postJSON(mux, "/chat/rooms/lobby/messages", `{"key":"k1","text":"hello"}`)
	fmt.Println(strings.HasPrefix(answer, "201"))
	messages, err := hub.Room("lobby").History(context.Background(), chatroom.Page{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(messages[0].From.Name+":", messages[0].Text)
	// Output:
	// true
	// Bob: hello
}

func ExampleRoom_Send() {
	hub := exampleHub(chatroom.Options{})
	defer hub.Shutdown(context.Background())
	ctx, lobby := context.Background(), hub.Room("lobby")

	bot := chatroom.User{ID: "bot", Name: "Deploy bot"}
	draft := chatroom.Draft{From: bot, Text: "Deployed v1.4", Key: "deploy-1-4"}
	first, err := lobby.Send(ctx, draft)
	if err != nil {
		log.Fatal(err)
	}
	// A job that is not sure whether it did it before does it again: same key, one message.
	again, err := lobby.Send(ctx, draft)
	fmt.Println(again == first, err)

	_, err = lobby.Send(ctx, chatroom.Draft{From: bot, Text: "Deployed v1.5", Key: "deploy-1-4"})
	fmt.Println(errors.Is(err, chatroom.ErrKeyConflict))
	// Output:
	// true <nil>
	// true
}

func ExampleRoom_Events() {
	hub := exampleHub(chatroom.Options{})
	defer hub.Shutdown(context.Background())
	ctx, lobby := context.Background(), hub.Room("lobby")

	go func() {
		seq, err := lobby.Send(ctx, chatroom.Draft{From: ann, Text: "coffee?"})
		if err != nil {
			log.Fatal(err)
		}
		lobby.React(ctx, bob, seq, "☕", true)
	}()

	// From the beginning, then live, until ctx ends. A consumer that keeps the
	// last seq it has handled goes on from there after a restart.
	for e, err := range lobby.Events(ctx, 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Type, "by", e.From.Name)
		if e.Type == chatroom.EventReact {
			break
		}
	}
	// Output:
	// message by Ann
	// react by Bob
}

func ExampleRoom_History() {
	hub := exampleHub(chatroom.Options{})
	defer hub.Shutdown(context.Background())
	ctx, lobby := context.Background(), hub.Room("lobby")
	for _, text := range []string{"one", "two", "three", "four", "five"} {
		if _, err := lobby.Send(ctx, chatroom.Draft{From: ann, Text: text}); err != nil {
			log.Fatal(err)
		}
	}

	// The newest page first, then back in time from its oldest message.
	for page := (chatroom.Page{Limit: 2}); ; {
		messages, err := lobby.History(ctx, page)
		if err != nil {
			log.Fatal(err)
		}
		if len(messages) == 0 {
			break
		}
		fmt.Println(len(messages), "from", messages[0].Text)
		page.Before = messages[0].Seq
	}
	// Output:
	// 2 from four
	// 2 from two
	// 1 from one
}

func ExampleRoom_MarkRead() {
	hub := exampleHub(chatroom.Options{})
	defer hub.Shutdown(context.Background())
	ctx, lobby := context.Background(), hub.Room("lobby")

	seq, err := lobby.Send(ctx, chatroom.Draft{From: ann, Text: "Is anybody here?"})
	if err != nil {
		log.Fatal(err)
	}
	lobby.Send(ctx, chatroom.Draft{From: ann, Text: "Nobody?"})
	unread, err := lobby.MarkRead(ctx, bob.ID, seq)
	fmt.Println(unread, err)
	// Output: 1 <nil>
}

// Rooms whose names begin with "staff-" are for the staff. Everybody else is
// told that there is no such room.
func ExampleOptions_authorize() {
	staff := map[string]bool{"u1": true}
	hub := exampleHub(chatroom.Options{
		Authorize: func(ctx context.Context, u chatroom.User, a chatroom.Action, room string) error {
			switch {
			case strings.HasPrefix(room, "staff-") && !staff[u.ID]:
				return chatroom.ErrNotFound
			case a == chatroom.ActionModerate && !staff[u.ID]:
				return chatroom.ErrForbidden
			}
			return nil
		},
	})
	defer hub.Shutdown(context.Background())

	fmt.Println(postJSON(hub, "/rooms/staff-only/messages", `{"key":"k2","text":"let me in"}`))
	// Output: 404 {"error":{"code":"not_found","message":"there is no such room or message"}}
}

// A filter changes what it must and refuses what it cannot keep.
func ExampleRefuse() {
	hub := exampleHub(chatroom.Options{
		BeforeSend: func(ctx context.Context, room string, d *chatroom.Draft) error {
			if strings.Contains(d.Text, "http://") {
				return chatroom.Refuse("Links must be https.")
			}
			d.Text = strings.ReplaceAll(d.Text, "damn", "d**n")
			return nil
		},
	})
	defer hub.Shutdown(context.Background())

	fmt.Println(postJSON(hub, "/rooms/lobby/messages", `{"key":"k3","text":"see http://example.com"}`))
	postJSON(hub, "/rooms/lobby/messages", `{"key":"k4","text":"damn"}`)
	messages, err := hub.Room("lobby").History(context.Background(), chatroom.Page{})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range messages {
		fmt.Println(m.Text)
	}
	// Output:
	// 403 {"error":{"code":"refused","message":"Links must be https."}}
	// d**n
}

// http.Server.Shutdown does not know of upgraded connections, and does not wait
// for what RegisterOnShutdown starts: the host waits for the hub itself.
func ExampleHub_Shutdown() {
	hub := exampleHub(chatroom.Options{})
	server := &http.Server{Handler: hub, ReadHeaderTimeout: 10 * time.Second}
	drained := make(chan error, 1)
	server.RegisterOnShutdown(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- hub.Shutdown(ctx)
	})

	// … go server.ListenAndServe(), and when the process is told to end:
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	err := <-drained
	var unsaved *chatroom.UnsavedError
	fmt.Println(err, errors.As(err, &unsaved))
	// Now close the store.

	// Output: <nil> false
}

// What was said is still there after a restart.
func ExampleOpenSQLite() {
	dir, err := os.MkdirTemp("", "chatroom")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	for _, text := range []string{"first life", "second life"} {
		store, err := chatroom.OpenSQLite(filepath.Join(dir, "chat.db"))
		if err != nil {
			log.Fatal(err)
		}
		hub, err := chatroom.New(chatroom.Options{Store: store, Authenticate: signedIn})
		if err != nil {
			log.Fatal(err)
		}
		lobby := hub.Room("lobby")
		lobby.Send(ctx, chatroom.Draft{From: ann, Text: text})
		messages, err := lobby.History(ctx, chatroom.Page{})
		fmt.Println(len(messages), err)
		hub.Shutdown(ctx) // first the hub, then the store
		store.Close()
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
}

// When a user signs out or is banned, the host ends what is open. Their clients
// see code 4501 and do not come back by themselves.
func ExampleHub_Disconnect() {
	hub := exampleHub(chatroom.Options{})
	defer hub.Shutdown(context.Background())
	server := httptest.NewUnstartedServer(hub)
	server.Config.ReadHeaderTimeout = 10 * time.Second
	server.Start()
	defer server.Close()

	ctx := context.Background()
	ws, _, err := websocket.Dial(ctx, server.URL+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.CloseNow()
	ws.Read(ctx) // hello

	hub.Disconnect(bob.ID)
	_, _, err = ws.Read(ctx)
	fmt.Println(int(websocket.CloseStatus(err)))
	// Output: 4501
}

// Remove takes a user out of one room at once; Authorize decides whether they
// can come back.
func ExampleRoom_Remove() {
	banned := map[string]bool{} // the host's own table, with its own lock
	hub := exampleHub(chatroom.Options{
		Authorize: func(ctx context.Context, u chatroom.User, a chatroom.Action, room string) error {
			if banned[u.ID] {
				return chatroom.ErrNotFound
			}
			return nil
		},
	})
	defer hub.Shutdown(context.Background())

	banned[bob.ID] = true
	hub.Room("lobby").Remove(bob.ID)
	fmt.Println(hub.Room("lobby").Members())
	// Output: []
}
