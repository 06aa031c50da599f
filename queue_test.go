package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chatroom-go/chatroom"
)

// riggedStore is a memory store whose Append a test takes over.
type riggedStore struct {
	*chatroom.MemoryStore
	mu     sync.Mutex
	append func(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error)
}

func newRiggedStore() *riggedStore { return &riggedStore{MemoryStore: chatroom.NewMemoryStore()} }

func (s *riggedStore) rig(f func(context.Context, []chatroom.Event) ([]chatroom.AppendResult, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append = f
}

func (s *riggedStore) Append(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
	s.mu.Lock()
	f := s.append
	s.mu.Unlock()
	if f != nil {
		return f(ctx, events)
	}
	return s.MemoryStore.Append(ctx, events)
}

// gate holds Append until open is closed.
func (s *riggedStore) gate() (open func()) {
	held := make(chan struct{})
	s.rig(func(_ context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
		<-held
		return s.MemoryStore.Append(context.Background(), events)
	})
	return sync.OnceFunc(func() { close(held) })
}

func TestAckComesAfterTheCommitAndDeliveryBefore(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	defer open()
	opts := testOptions()
	opts.Store = store
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("r")
	bob.join("r")
	id := ann.request("send", `"room":"r","key":"k","text":"hi"`)
	if f := bob.event("message"); f.Text != "hi" {
		t.Error(f.raw)
	}
	// In history and in a resume it is there too, though the store has not got it.
	if f := bob.must("history", `"room":"r"`); len(f.Messages) != 1 || f.Messages[0].Text != "hi" {
		t.Error(f.raw)
	}
	carol := s.connect(t, "carol")
	carol.resume("r", 0)
	carol.follows2(t, "hi")
	if n := s.hub.Stats().QueueEvents; n != 1 {
		t.Errorf("%d events wait", n)
	}
	open()
	if f := ann.reply(id); !f.Stored {
		t.Error(f.raw)
	}
	if n := s.hub.Stats().QueueEvents; n != 0 {
		t.Errorf("%d events wait after the ack", n)
	}
}

// follows2 reads the next numbered event, a message of that text.
func (c *client) follows2(t *testing.T, text string) {
	t.Helper()
	if f := c.numbered(); f.Event != "message" || f.Text != text {
		t.Errorf("want %q, got %s", text, f.raw)
	}
}

func TestAckAcceptedDoesNotWait(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	defer open()
	opts := testOptions()
	opts.Store, opts.Ack = store, chatroom.AckAccepted
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("r")
	if f := ann.send("r", "k", "hi"); f.Stored || f.Seq == 0 {
		t.Error(f.raw)
	}
	if f := ann.send("r", "k", "hi"); f.Stored || !f.Duplicate {
		t.Error(f.raw)
	}
	open()
}

func TestStoreFirstShowsNothingBeforeTheCommit(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	defer open()
	opts := testOptions()
	opts.Store, opts.StoreFirst = store, true
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("r")
	bob.join("r")
	id := ann.request("send", `"room":"r","key":"k","text":"hi"`)
	ann.must("ping", "") // the send was carried out
	if f := bob.must("history", `"room":"r"`); len(f.Messages) != 0 {
		t.Errorf("shown before it is stored: %s", f.raw)
	}
	for _, f := range bob.events {
		if f.Event == "message" {
			t.Errorf("delivered before it is stored: %s", f.raw)
		}
	}
	open()
	if f := ann.reply(id); !f.Stored {
		t.Error(f.raw)
	}
	bob.follows2(t, "hi")
}

func TestFullQueueAnswersOverloadedBeforeDelivery(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	defer open()
	opts := testOptions()
	opts.Store = store
	opts.Limits.QueueEvents = 3
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("r")
	bob.join("r")
	var ids []string
	for i := range 3 {
		ids = append(ids, ann.request("send", fmt.Sprintf(`"room":"r","key":"k%d","text":"m%d"`, i, i)))
	}
	f := ann.refused("overloaded", "send", `"room":"r","key":"k3","text":"m3"`)
	if f.Error.RetryAfterMS <= 0 {
		t.Error(f.raw)
	}
	last := bob.follows(0, 0, 3)
	open()
	for _, id := range ids {
		if f := ann.reply(id); !f.OK {
			t.Error(f.raw)
		}
	}
	ann.send("r", "k3", "m3") // the same key, now that there is room
	bob.follows(last, 3, 1)
	if n := s.hub.Stats().Overloaded; n != 1 {
		t.Errorf("counted %d", n)
	}
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	defer open()
	opts := testOptions()
	opts.Store, opts.Ack = store, chatroom.AckAccepted
	opts.Limits.QueueBytes = 64 << 10
	s := start(t, opts)
	text := strings.Repeat("x", 8000)
	accepted := 0
	var err error
	for err == nil && accepted < 100 {
		if _, err = s.hub.Room("r").Send(context.Background(), chatroom.Draft{From: bot, Text: text[:4000]}); err == nil {
			accepted++
		}
	}
	if !errors.Is(err, chatroom.ErrOverloaded) || accepted < 10 || accepted > 16 {
		t.Errorf("accepted %d of 4,000 bytes, then %v", accepted, err)
	}
	open()
}

func TestStoreErrorsAreRetriedUntilTheyPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRiggedStore()
		calls := 0
		store.rig(func(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
			if calls++; calls < 6 {
				if calls == 3 {
					panic("the store is out of its mind")
				}
				return nil, errors.New("not now")
			}
			return store.MemoryStore.Append(ctx, events)
		})
		opts := testOptions()
		opts.Store = store
		hub, err := chatroom.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := hub.Room("r").Send(t.Context(), chatroom.Draft{From: bot, Text: "hi"})
			done <- err
		}()
		synctest.Wait()
		if hub.Stats().Healthy {
			t.Error("healthy while the store fails")
		}
		if err := <-done; err != nil {
			t.Errorf("send: %+v", err)
		}
		if s := hub.Stats(); !s.Healthy || s.Stored != 1 || s.StoreErrors != 5 {
			t.Errorf("stats: %+v", s)
		}
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestPoisonIsIsolatedAndRetracted(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	defer open()
	dead := make(chan chatroom.Event, 1)
	opts := testOptions()
	opts.Store = store
	opts.DeadLetter = func(e chatroom.Event, err error) { dead <- e }
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("r")
	bob.join("r")
	first := ann.request("send", `"room":"r","key":"first","text":"holds the writer up"`)
	bob.follows2(t, "holds the writer up")
	var ids []string
	for i := range 9 {
		ids = append(ids, ann.request("send", fmt.Sprintf(`"room":"r","key":"k%d","text":"m%d"`, i, i)))
	}
	var poison chatroom.Seq
	for i := range 9 {
		f := bob.numbered()
		if i == 4 {
			poison = f.Seq
		}
	}
	store.rig(func(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
		for _, e := range events {
			if e.Key == "k4" {
				return nil, fmt.Errorf("row: %w", chatroom.ErrStoreRefused)
			}
		}
		return store.MemoryStore.Append(ctx, events)
	})
	open()
	ann.reply(first)
	for i, id := range ids {
		f := ann.reply(id)
		if i == 4 && (f.Error == nil || f.Error.Code != "store_failed") || i != 4 && !f.Stored {
			t.Errorf("m%d: %s", i, f.raw)
		}
	}
	if f := bob.numbered(); f.Event != "retract" || f.Target != poison {
		t.Errorf("want a retract of %d, got %s", poison, f.raw)
	}
	if e := <-dead; e.Seq != poison {
		t.Errorf("dead letter: %+v", e)
	}
	if f := bob.must("history", `"room":"r"`); len(f.Messages) != 9 {
		t.Errorf("history: %s", f.raw)
	}
	store.rig(nil)
	ann.send("r", "k4", "another body is fine: the key is free again")
}

func TestKeyIsIdempotentAcrossRestart(t *testing.T) {
	for _, retry := range []bool{false, true} {
		t.Run(fmt.Sprint("retry=", retry), func(t *testing.T) {
			opts := testOptions()
			s := start(t, opts)
			ann := s.connect(t, "ann")
			ann.join("r")
			first := ann.send("r", "k", "hi")
			if f := ann.send("r", "k", "hi"); f.Seq != first.Seq || !f.Duplicate || !f.Stored {
				t.Errorf("again: %s", f.raw)
			}
			ann.refused("key_conflict", "send", `"room":"r","key":"k","text":"other"`)

			next := start(t, opts) // the same store, another life
			ann, bob := next.connect(t, "ann"), next.connect(t, "bob")
			ann.join("r")
			bob.join("r")
			f := ann.must("send", fmt.Sprintf(`"room":"r","key":"k","text":"hi","retry":%t`, retry))
			if f.Seq != first.Seq || !f.Duplicate {
				t.Errorf("after a restart: %s", f.raw)
			}
			if !retry { // members saw a copy, and that it is to be forgotten
				copied := bob.numbered()
				if f := bob.numbered(); f.Event != "retract" || f.Target != copied.Seq {
					t.Errorf("want a retract of %d, got %s", copied.Seq, f.raw)
				}
			}
			ann.refused("key_conflict", "send", fmt.Sprintf(`"room":"r","key":"k","text":"other","retry":%t`, retry))
			last := ann.send("r", "k2", "next")
			for {
				f := bob.numbered()
				if retry && f.Seq != last.Seq {
					t.Errorf("members saw %s", f.raw)
				}
				if f.Seq == last.Seq {
					break
				}
			}
			if f := bob.must("history", `"room":"r"`); len(f.Messages) != 2 {
				t.Errorf("history: %s", f.raw)
			}
		})
	}
}

func TestSameKeyOnTwoConnectionsAtOnceIsOneMessage(t *testing.T) {
	s := start(t, testOptions())
	one, two := s.connect(t, "ann"), s.connect(t, "ann")
	one.join("r")
	two.join("r")
	for i := range 1000 {
		fields := fmt.Sprintf(`"room":"r","key":"k%d","text":"hi"`, i)
		a, b := one.request("send", fields), two.request("send", fields)
		ra, rb := one.reply(a), two.reply(b)
		if ra.Seq != rb.Seq || ra.Seq == 0 || ra.Duplicate == rb.Duplicate {
			t.Fatalf("round %d: %s and %s", i, ra.raw, rb.raw)
		}
		one.events, two.events = nil, nil
	}
	msgs, err := s.hub.Room("r").History(context.Background(), chatroom.Page{Limit: 2000})
	if err != nil || len(msgs) != 1000 {
		t.Errorf("%d messages, %v", len(msgs), err)
	}
}

func TestSlowStoreAnswersStoreUnavailableAndKeepsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRiggedStore()
		open := store.gate()
		opts := testOptions()
		opts.Store = store
		hub, err := chatroom.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		d := chatroom.Draft{From: bot, Text: "hi", Key: "k"}
		if _, err := hub.Room("r").Send(t.Context(), d); !errors.Is(err, chatroom.ErrStoreUnavailable) {
			t.Errorf("send: %+v", err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 12*time.Second {
			t.Errorf("answered after %v", took)
		}
		open()
		seq, err := hub.Room("r").Send(t.Context(), d) // again, as the answer says
		if err != nil {
			t.Error(err)
		}
		msgs, _ := hub.Room("r").History(t.Context(), chatroom.Page{})
		if len(msgs) != 1 || msgs[0].Seq != seq {
			t.Errorf("history: %+v", msgs)
		}
		hub.Shutdown(t.Context())
	})
}

func TestShutdownStoresWhatWasAcceptedAndSaysGoodbye(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	defer open()
	opts := testOptions()
	opts.Store = store
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("r")
	var ids []string
	for i := range 20 {
		ids = append(ids, ann.request("send", fmt.Sprintf(`"room":"r","key":"k%d","text":"m%d"`, i, i)))
	}
	ann.follows(0, 0, 20)
	done := make(chan error, 1)
	go func() { done <- s.hub.Shutdown(context.Background()) }()
	if f := ann.event("going_away"); f.RetryAfterMS <= 0 {
		t.Error(f.raw)
	}
	ann.refused("shutting_down", "send", `"room":"r","key":"late","text":"late"`)
	open()
	for _, id := range ids {
		if f := ann.reply(id); !f.Stored {
			t.Error(f.raw)
		}
	}
	if code, reason := ann.closed(); code != 1001 || !strings.HasPrefix(reason, "going_away ") {
		t.Errorf("closed with %d %q", code, reason)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.hub.Shutdown(context.Background()); err != nil {
		t.Errorf("a second time: %+v", err)
	}
	if msgs, _ := store.Messages(context.Background(), "r", chatroom.Page{Limit: 100}); len(msgs) != 20 {
		t.Errorf("%d stored", len(msgs))
	}
}

func TestShutdownWithAHungStoreCountsWhatIsLeft(t *testing.T) {
	store := newRiggedStore()
	open := store.gate()
	opts := testOptions()
	opts.Store, opts.Ack = store, chatroom.AckAccepted
	hub, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	post(t, hub, "r", 0, 7)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var unsaved *chatroom.UnsavedError
	if err := hub.Shutdown(ctx); !errors.As(err, &unsaved) || unsaved.Events != 7 || !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: %+v", err)
	}
	open()
	if _, err := hub.Room("r").Send(context.Background(), chatroom.Draft{From: bot, Text: "x"}); !errors.Is(err, chatroom.ErrShuttingDown) {
		t.Errorf("send after shutdown: %+v", err)
	}
}
