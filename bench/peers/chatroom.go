package peers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chatroom-go/chatroom"
)

// chatroomWhole is the library with everything on: authentication, a decision of
// the host's for every operation, strict JSON, and SQLite storing every message
// before it is acknowledged. Only the limits that keep one user from flooding
// are raised, because flooding is what the load is for.
var chatroomWhole = Server{
	Name: "chatroom", Module: "",
	About: "whole: joins, JSON, authorisation, presence, every message in SQLite and acknowledged after its commit",
	Serve: func(ln net.Listener, o Options) (Stats, error) {
		w, err := OpenWhole(o.Dir)
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		mux.Handle("/chat/", http.StripPrefix("/chat", w.Hub))
		go (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(ln) // lives as long as the process
		return w.stats, nil
	},
}

// Whole is a hub with everything on, and its store.
type Whole struct {
	Hub   *chatroom.Hub
	Store *CountingStore
}

// OpenWhole opens a hub over chat.db in dir.
func OpenWhole(dir string) (*Whole, error) {
	db, err := chatroom.OpenSQLite(filepath.Join(dir, "chat.db"))
	if err != nil {
		return nil, err
	}
	store := &CountingStore{SQLite: db}
	hub, err := chatroom.New(hubOptions(store, &host{banned: map[string]bool{"mallory": true}}))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Whole{hub, store}, nil
}

// Close shuts the hub down, within ten seconds, and closes the store.
func (w *Whole) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(w.Hub.Shutdown(ctx), w.Store.Close())
}

func (w *Whole) stats() map[string]float64 {
	s := w.Hub.Stats()
	return map[string]float64{
		"reads": float64(w.Store.Reads.Load()), "commits": float64(w.Store.Commits.Load()), "stored": float64(s.Stored),
		"connections": float64(s.Connections), "members": float64(s.Members), "refused": float64(s.Refused),
	}
}

// hubOptions is a host's configuration, with limits wide enough for the load.
func hubOptions(store chatroom.Store, h *host) chatroom.Options {
	flood := chatroom.Rate{PerSecond: 1e6, Burst: 1e6}
	return chatroom.Options{
		Store:        store,
		Authenticate: h.authenticate,
		Authorize:    h.authorize,
		Logger:       slog.New(slog.DiscardHandler),
		Limits: chatroom.Limits{
			Connections: 100_000, ConnectionsPerIP: 100_000, ConnectionsPerUser: 100,
			Messages: flood, Frames: flood, Joins: flood,
		},
	}
}

// host is the application around the hub: it knows its users and who may not talk.
type host struct {
	mu     sync.RWMutex
	banned map[string]bool
}

func (h *host) authenticate(r *http.Request) (chatroom.User, error) {
	id := r.URL.Query().Get("user")
	if id == "" {
		return chatroom.User{}, fmt.Errorf("no user in the query")
	}
	return chatroom.User{ID: id, Name: id}, nil
}

func (h *host) authorize(_ context.Context, u chatroom.User, _ chatroom.Action, _ string) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.banned[u.ID] {
		return chatroom.ErrForbidden
	}
	return nil
}

// CountingStore counts what the hub asks of SQLite.
type CountingStore struct {
	*chatroom.SQLite
	Reads, Commits atomic.Int64
}

func (s *CountingStore) Append(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
	s.Commits.Add(1)
	return s.SQLite.Append(ctx, events)
}

func (s *CountingStore) Messages(ctx context.Context, room string, q chatroom.Page) ([]chatroom.Message, error) {
	s.Reads.Add(1)
	return s.SQLite.Messages(ctx, room, q)
}

func (s *CountingStore) Events(ctx context.Context, room string, after chatroom.Seq, limit int) ([]chatroom.Event, error) {
	s.Reads.Add(1)
	return s.SQLite.Events(ctx, room, after, limit)
}

func (s *CountingStore) LastSeq(ctx context.Context, room string) (chatroom.Seq, error) {
	s.Reads.Add(1)
	return s.SQLite.LastSeq(ctx, room)
}
