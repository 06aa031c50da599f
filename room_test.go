package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

func TestHostCodeHasTheVerbs(t *testing.T) {
	s := start(t, testOptions())
	room, ctx := s.hub.Room("lobby"), t.Context()
	if room.Name() != "lobby" {
		t.Errorf("name %q", room.Name())
	}
	ann := s.connect(t, "ann")
	ann.join("lobby")
	theirs := ann.send("lobby", "k1", "hello\r\nthere").Seq
	mine, err := room.Send(ctx, chatroom.Draft{From: chatroom.User{ID: "bot"}, Text: "beep\x1b", Key: "b1", ReplyTo: theirs, Data: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := room.Send(ctx, chatroom.Draft{From: chatroom.User{ID: "bot"}, Text: "beep", Key: "b1", ReplyTo: theirs, Data: []byte(`{"a":1}`)}); again != mine || err != nil {
		t.Errorf("sent again: %d, %v", again, err)
	}
	if _, err := room.Send(ctx, chatroom.Draft{From: chatroom.User{ID: "bot"}, Text: "boop", Key: "b1"}); !errors.Is(err, chatroom.ErrKeyConflict) {
		t.Errorf("the key for another message: %+v", err)
	}
	edit, err := room.Edit(ctx, bot, theirs, "moderated")
	if err != nil || edit <= mine {
		t.Errorf("edit: %d, %v", edit, err)
	}
	if seq, err := room.Edit(ctx, bot, theirs, "moderated"); seq != 0 || err != nil {
		t.Errorf("the same edit: %d, %v", seq, err)
	}
	react, err := room.React(ctx, bot, theirs, "👍", true)
	if err != nil || react <= edit {
		t.Errorf("react: %d, %v", react, err)
	}
	if seq, err := room.React(ctx, bot, theirs, "👍", true); seq != 0 || err != nil {
		t.Errorf("the same reaction: %d, %v", seq, err)
	}
	if last, err := room.LastSeq(ctx); last != react || err != nil {
		t.Errorf("last seq: %d, %v", last, err)
	}
	page, err := room.History(ctx, chatroom.Page{Limit: 1000})
	if err != nil || len(page) != 2 || page[0].Text != "moderated" || page[0].Edited != edit || len(page[0].Reactions) != 1 || page[1].Text != "beep" || page[1].ReplyTo != theirs || page[1].Room != "lobby" {
		t.Errorf("history: %+v, %v", page, err)
	}
	if unread, err := room.MarkRead(ctx, "ann", theirs); unread != 1 || err != nil {
		t.Errorf("mark read: %d, %v", unread, err)
	}
	if unread, err := room.MarkRead(ctx, "ann", 1<<53); unread != 0 || err != nil {
		t.Errorf("mark all read: %d, %v", unread, err)
	}
	if _, err := room.Delete(ctx, bot, theirs); err != nil {
		t.Error(err)
	}
	if _, err := room.Delete(ctx, bot, theirs); !errors.Is(err, chatroom.ErrNotFound) {
		t.Errorf("deleted twice: %+v", err)
	}
	for _, kind := range []string{"message", "message", "edit", "react", "delete"} {
		if got := ann.numbered(); got.Event != kind || kind != "message" && got.From.ID != "bot" {
			t.Errorf("want %s: %s", kind, got.raw)
		}
	}
}

func TestHostCodeEndsWithItsContext(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	opts := testOptions()
	opts.Store = store
	hub := startHub(t, opts)
	t.Cleanup(open) // before the shutdown
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error)
	go func() { // waited for below
		_, err := hub.Room("lobby").Send(ctx, chatroom.Draft{From: bot, Text: "hi"})
		sent <- err
	}()
	waitFor(t, func() bool { return hub.Stats().QueueEvents == 1 })
	cancel()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Errorf("send: %+v", err)
	}
	open()
	waitFor(t, func() bool { return hub.Stats().Stored == 1 }) // it was accepted
}

func TestAfterShutdownHostCodeIsRefused(t *testing.T) {
	hub, err := chatroom.New(testOptions())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	room, ctx := hub.Room("lobby"), t.Context()
	for name, do := range map[string]func() error{
		"Send":    func() error { _, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "hi"}); return err },
		"Edit":    func() error { _, err := room.Edit(ctx, bot, 1, "x"); return err },
		"History": func() error { _, err := room.History(ctx, chatroom.Page{}); return err },
		"LastSeq": func() error { _, err := room.LastSeq(ctx); return err },
		"Mark":    func() error { _, err := room.MarkRead(ctx, "ann", 1); return err },
	} {
		if err := do(); !errors.Is(err, chatroom.ErrShuttingDown) {
			t.Errorf("%s: %+v", name, err)
		}
	}
	room.Remove("ann")
	hub.Disconnect("ann")
	if got := room.Members(); len(got) != 0 {
		t.Errorf("members: %+v", got)
	}
}

// Nobody waits for a store that Shutdown has given up on.
func TestAShutdownThatGivesUpAnswersHostCodeAndHTTP(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	opts := testOptions()
	opts.Store = store
	hub, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer open()
	outcomes := make(chan error, 2)
	go func() { // waited for below
		_, err := hub.Room("lobby").Send(context.Background(), chatroom.Draft{From: bot, Text: "one"})
		outcomes <- err
	}()
	go func() { // likewise
		req, _ := http.NewRequest("POST", "/rooms/lobby/messages?user=ann", strings.NewReader(`{"key":"k","text":"two"}`))
		req.Header.Set("Content-Type", "application/json")
		w := &statusWriter{header: http.Header{}}
		hub.ServeHTTP(w, req)
		if w.status == http.StatusServiceUnavailable {
			outcomes <- chatroom.ErrStoreUnavailable
		} else {
			outcomes <- fmt.Errorf("status %d", w.status)
		}
	}()
	waitFor(t, func() bool { return hub.Stats().QueueEvents == 2 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var unsaved *chatroom.UnsavedError
	if err := hub.Shutdown(ctx); !errors.As(err, &unsaved) || unsaved.Events != 2 || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "2 events unsaved") {
		t.Errorf("shutdown: %+v", err)
	}
	for range 2 {
		if err := <-outcomes; !errors.Is(err, chatroom.ErrStoreUnavailable) {
			t.Errorf("outcome: %+v", err)
		}
	}
}

type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }
func (w *statusWriter) Write(b []byte) (int, error) { return len(b), nil }

// Upgrades that are under way when Shutdown begins are ended by it, or refused.
func TestUpgradesDuringShutdown(t *testing.T) {
	for range 10 {
		hub, err := chatroom.New(testOptions())
		if err != nil {
			t.Fatal(err)
		}
		transport, stop := overPipe(hub)
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				ws, _, err := websocket.Dial(ctx, "ws://x/ws?user=ann", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
				if err != nil {
					return // refused
				}
				for err == nil {
					_, _, err = ws.Read(ctx)
				}
				if code := websocket.CloseStatus(err); code != 1001 && code != 4100 {
					t.Errorf("ended with %v", err)
				}
				ws.CloseNow()
			})
		}
		waitFor(t, func() bool { return hub.Stats().Connections > 0 })
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := hub.Stats().Connections; n != 0 {
			t.Errorf("%d connections after the shutdown", n)
		}
		clients.Wait()
		stop()
		transport.CloseIdleConnections()
	}
}

// countingStore counts reads.
type countingStore struct {
	*chatroom.MemoryStore
	pages, lasts atomic.Int32
	fail         atomic.Pointer[func(ctx context.Context) error]
}

func (s *countingStore) read(ctx context.Context) error {
	if f := s.fail.Load(); f != nil {
		return (*f)(ctx)
	}
	return nil
}

func (s *countingStore) Messages(ctx context.Context, room string, q chatroom.Page) ([]chatroom.Message, error) {
	s.pages.Add(1)
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	return s.MemoryStore.Messages(ctx, room, q)
}

func (s *countingStore) LastSeq(ctx context.Context, room string) (chatroom.Seq, error) {
	s.lasts.Add(1)
	if err := s.read(ctx); err != nil {
		return 0, err
	}
	return s.MemoryStore.LastSeq(ctx, room)
}

func TestACrowdThatJoinsCostsOneRead(t *testing.T) {
	store := &countingStore{MemoryStore: chatroom.NewMemoryStore()}
	opts := testOptions()
	opts.Store = store
	s := start(t, opts)
	if _, err := s.hub.Room("lobby").Send(t.Context(), chatroom.Draft{From: bot, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	var crowd []*client
	var ids []string
	for i := range 30 {
		crowd = append(crowd, s.connect(t, fmt.Sprintf("u%d", i)))
	}
	for _, c := range crowd {
		ids = append(ids, c.request("join", `"room":"lobby"`))
	}
	for i, c := range crowd {
		if j := c.reply(ids[i]); len(j.Messages) != 1 || j.Messages[0].Text != "hi" {
			t.Errorf("join: %s", j.raw)
		}
	}
	if n := store.pages.Load(); n != 1 {
		t.Errorf("%d reads", n)
	}
	crowd[0].send("lobby", "k", "new") // ends the page
	if j := crowd[1].join("lobby"); len(j.Messages) != 2 {
		t.Errorf("join: %s", j.raw)
	}
}

func TestAStoreThatCannotBeReadIsUnavailable(t *testing.T) {
	store := &countingStore{MemoryStore: chatroom.NewMemoryStore()}
	opts := testOptions()
	opts.Store = store
	opts.Limits.StoreTimeout = 50 * time.Millisecond
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	sent := ann.send("lobby", "k1", "hi").Seq
	release := make(chan struct{})
	for name, f := range map[string]func(context.Context) error{
		"fails":  func(context.Context) error { return errors.New("SELECT secret FROM disk") },
		"panics": func(context.Context) error { panic("SELECT secret") },
		"hangs":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"deaf":   func(context.Context) error { <-release; return nil },
	} {
		store.fail.Store(&f)
		for _, test := range []struct{ op, fields string }{
			{"history", `"room":"lobby","before":9007199254740992`}, // the newest page may be in memory
			{"join", `"room":"` + name + `"`},
			{"edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"x"`, sent)},
		} {
			f := ann.refused("store_unavailable", test.op, test.fields)
			if strings.Contains(f.raw, "secret") || f.Error.RetryAfterMS != 1000 {
				t.Errorf("%s: %s", name, f.raw)
			}
		}
		r := s.get(t, "rooms/lobby/messages?after=1", "ann")
		r.wantError(t, 503, "store_unavailable", "")
		if r.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %+v", name, r.header)
		}
		ann.send("lobby", "k"+name, "talk goes on")
		store.fail.Store(nil)
		ann.join(name)
		ann.must("history", `"room":"lobby"`)
	}
	close(release)
}

func TestIdleRoomsAreForgottenAndComeBack(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		ctx := t.Context()
		ann := b.connect("ann")
		ann.join("lobby")
		first := ann.send("lobby", "k1", "hi").Seq
		for i := range 100 {
			if _, err := b.hub.Room(fmt.Sprintf("room%d", i)).Send(ctx, chatroom.Draft{From: bot, Text: "hi"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := b.hub.Stats().Rooms; n != 101 {
			t.Errorf("%d rooms", n)
		}
		for range 25 { // over six minutes, heard of all the time
			time.Sleep(15 * time.Second)
			ann.must("ping", "")
		}
		if n := b.hub.Stats().Rooms; n != 1 {
			t.Errorf("%d rooms; only the lobby has a member", n)
		}
		if f := ann.send("lobby", "k1", "hi"); !f.Duplicate || f.Seq != first {
			t.Errorf("sent again: %s", f.raw)
		}
		ann.ws.CloseNow()
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if n := b.hub.Stats().Rooms; n != 0 {
			t.Errorf("%d rooms", n)
		}
		ann = b.connect("ann")
		if j := ann.resume("lobby", 0); j.Head != first || !*j.Recovered {
			t.Errorf("join: %s", j.raw)
		}
		if f := ann.send("lobby", "k2", "back"); f.Seq <= first {
			t.Errorf("send: %s", f.raw)
		}
	})
}

// A room with many speakers forgets the rates of those that are full again.
func TestRatesHoldWithManySpeakers(t *testing.T) {
	opts := testOptions()
	opts.Limits.Messages = chatroom.Rate{PerSecond: 1, Burst: 2}
	bubble(t, opts, func(t *testing.T, b *inBubble) {
		last := b.connect("last")
		last.join("lobby")
		last.send("lobby", "k1", "hi")
		last.send("lobby", "k2", "hi")
		for i := range 150 {
			c := b.connect(fmt.Sprintf("u%d", i))
			c.join("lobby")
			c.send("lobby", "k", "hi")
			c.ws.CloseNow()
		}
		last.refused("rate_limited", "send", `"room":"lobby","key":"k3","text":"hi"`)
		time.Sleep(2 * time.Second)
		for i := range 150 {
			c := b.connect(fmt.Sprintf("v%d", i))
			c.join("lobby")
			c.send("lobby", "k", "hi")
			c.ws.CloseNow()
		}
		last.send("lobby", "k3", "hi")
		last.send("lobby", "k4", "hi")
		last.refused("rate_limited", "send", `"room":"lobby","key":"k5","text":"hi"`)
	})
}

// A reaction's list of users ends at a hundred, its count does not.
func TestReactionsOfACrowd(t *testing.T) {
	hub := startHub(t, testOptions())
	room, ctx := hub.Room("lobby"), t.Context()
	seq, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		if _, err := room.React(ctx, chatroom.User{ID: fmt.Sprintf("u%03d", i)}, seq, "x", true); err != nil {
			t.Fatal(err)
		}
	}
	check := func(count int, first string) {
		t.Helper()
		page, err := room.History(ctx, chatroom.Page{})
		if err != nil {
			t.Fatal(err)
		}
		r := page[0].Reactions[0]
		if r.Count != count || len(r.Users) != chatroom.MaxReactionUsers || r.Users[0] != first {
			t.Errorf("%d reactions, %d listed from %s; want %d from %s", r.Count, len(r.Users), r.Users[0], count, first)
		}
	}
	check(120, "u000")
	for _, id := range []string{"u110", "u000"} { // one beyond the list, one in it
		if _, err := room.React(ctx, chatroom.User{ID: id}, seq, "x", false); err != nil {
			t.Fatal(err)
		}
	}
	check(118, "u001")
}
