package chatroom_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"context"

	"github.com/chatroom-go/chatroom"
)

func TestStatsCountWhatIsThere(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store = store
	opts.Limits.StoreTimeout = time.Minute
	s := start(t, opts)
	if got := s.hub.Stats(); got != (chatroom.Stats{Healthy: true}) {
		t.Errorf("at first: %+v", got)
	}
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	ann.join("other")
	bob.join("lobby")
	if got := s.hub.Stats(); got.Connections != 2 || got.Members != 3 || got.Rooms != 2 {
		t.Errorf("with people: %+v", got)
	}
	ann.send("lobby", "k1", "hi")
	ann.send("lobby", "k1", "hi")
	ann.refused("key_conflict", "send", `"room":"lobby","key":"k1","text":"ho"`)
	if got := s.hub.Stats(); got.Accepted != 1 || got.Stored != 1 || got.Refused != 1 || got.QueueEvents != 0 || got.QueueBytes != 0 {
		t.Errorf("with a message: %+v", got)
	}
	open := store.gate()
	var ids []string
	for i := range 3 {
		ids = append(ids, ann.request("send", fmt.Sprintf(`"room":"lobby","key":"held-%d","text":"hi"`, i)))
	}
	ann.must("ping", "")
	if got := s.hub.Stats(); got.QueueEvents != 3 || got.QueueBytes < 6 || got.Stored != 1 || got.Accepted != 4 {
		t.Errorf("with a store that waits: %+v", got)
	}
	open()
	for _, id := range ids {
		ann.reply(id)
	}
	waitFor(t, func() bool {
		got := s.hub.Stats()
		return got.QueueEvents == 0 && got.QueueBytes == 0 && got.Stored == 4
	})
	ann.must("leave", `"room":"other"`)
	bob.ws.CloseNow()
	waitFor(t, func() bool { got := s.hub.Stats(); return got.Connections == 1 && got.Members == 1 })
}

func TestStatsTellOfAStoreInTrouble(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store = store
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	fails := 1
	store.rig(func(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
		if fails--; fails >= 0 {
			return nil, errors.New("not now")
		}
		if events[0].Text == "poison" {
			return nil, fmt.Errorf("no: %w", chatroom.ErrStoreRefused)
		}
		return store.MemoryStore.Append(ctx, events)
	})
	id := ann.request("send", `"room":"lobby","key":"k1","text":"hi"`)
	waitFor(t, func() bool { return s.hub.Stats().StoreErrors == 1 })
	if got := s.hub.Stats(); got.Healthy && got.Stored == 0 {
		t.Errorf("after a failure: %+v", got)
	}
	ann.reply(id)
	if got := s.hub.Stats(); !got.Healthy || got.Stored != 1 {
		t.Errorf("after the retry: %+v", got)
	}
	ann.refused("store_failed", "send", `"room":"lobby","key":"k2","text":"poison"`)
	waitFor(t, func() bool { return s.hub.Stats().QueueEvents == 0 })
	if got := s.hub.Stats(); got.DeadLetters != 1 || got.Stored != 2 { // the message and the retract
		t.Errorf("after a poison event: %+v", got)
	}
}
