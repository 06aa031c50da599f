package chatroom_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// firstEvents is what the file testdata/store-v1.db was told, by the version of the library that
// made schema version 1. That file is never made again: every later version has to read this one.
func firstEvents() (events []chatroom.Event) {
	ann, bob, cid := chatroom.User{ID: "u-ann", Name: "Ann"}, chatroom.User{ID: "u-bob", Name: "Bob ☕"}, chatroom.User{ID: "u-cid"}
	seq := chatroom.Seq(1_790_000_000_000_000)
	add := func(e chatroom.Event) chatroom.Seq {
		seq += 1_000_003
		e.Seq = seq
		if e.Room == "" {
			e.Room = "lobby"
		}
		events = append(events, e)
		return seq
	}
	say := func(room string, from chatroom.User, key, text string) chatroom.Seq {
		return add(chatroom.Event{Type: chatroom.EventMessage, Room: room, From: from, Key: key, Text: text})
	}
	change := func(kind chatroom.EventType, from chatroom.User, target chatroom.Seq, text string) {
		add(chatroom.Event{Type: kind, From: from, Target: target, Text: text})
	}
	react := func(from chatroom.User, target chatroom.Seq, emoji string, on bool) {
		add(chatroom.Event{Type: chatroom.EventReact, From: from, Target: target, Emoji: emoji, On: on})
	}
	first := say("lobby", ann, "k-1", "hello")
	second := say("lobby", bob, "k-1", "the same key of somebody else")
	say("lobby", cid, "", "no key, no name")
	answer := add(chatroom.Event{Type: chatroom.EventMessage, From: bob, Key: "k-2", ReplyTo: first, Text: "héllo «ünïcode» 👋🏽 \x01\t\n\"quoted\"", Data: json.RawMessage(`{"n":[1,2.5,null],"s":"é"}`)})
	data := add(chatroom.Event{Type: chatroom.EventMessage, From: ann, Key: "k-3", Data: json.RawMessage(`[]`)})
	gone := say("lobby", ann, "k-4", "this will be deleted")
	taken := say("lobby", ann, "k-5", "this will be taken back")
	say("lobby", ann, "k-1", "hello")             // a duplicate
	say("lobby", ann, "k-1", "another hello")     // a conflict
	say("kitchen ☕/%_'\"", ann, "k-1", "hello")   // another room
	say("kitchen ☕/%_'\"", bob, "", "what's up?") // two lines of it
	change(chatroom.EventEdit, ann, first, "hello again")
	change(chatroom.EventEdit, ann, first, "hello, at last")
	change(chatroom.EventEdit, ann, gone, "edited, and deleted all the same")
	react(bob, first, "👍", true)
	react(cid, first, "❤", true)
	react(cid, first, "👍", true)
	react(bob, first, "👍", false)
	react(ann, gone, "🎉", true)
	react(ann, answer, "🎉", true)
	react(ann, answer, "🎉", false)
	change(chatroom.EventDelete, ann, gone, "")
	change(chatroom.EventEdit, ann, gone, "edited after that")
	change(chatroom.EventRetract, chatroom.User{}, taken, "")
	change(chatroom.EventEdit, bob, second+1, "of a message nobody knows")
	react(cid, data, "👀", true)
	for i := range 40 {
		say("busy", cid, fmt.Sprint("n-", i), fmt.Sprintf("line %d of many", i))
	}
	return events
}

// oldStore holds firstEvents, and these marks.
const oldStore = "testdata/store-v1.db"

func firstMarks(t *testing.T, m chatroom.ReadMarker, events []chatroom.Event) {
	t.Helper()
	for user, seq := range map[string]chatroom.Seq{"u-ann": events[2].Seq, "u-cid": events[0].Seq} {
		if err := m.MarkRead(t.Context(), "lobby", user, seq); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSQLiteReadsTheFirstVersionsFile: what version 1 wrote reads, in this version, as the model has it,
// and can be gone on with.
func TestSQLiteReadsTheFirstVersionsFile(t *testing.T) {
	old, err := os.ReadFile(oldStore)
	if err != nil {
		t.Fatal(err)
	}
	path := newPath(t)
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if v := schemaVersion(t, path); v != 1 {
		t.Fatalf("%s has schema version %d: it was replaced", oldStore, v)
	}
	events := firstEvents()
	model := chatroom.NewMemoryStore()
	appendTo(t, model, events...)
	firstMarks(t, model, events)
	for range 2 { // as it was, and after it was migrated and closed
		s, err := chatroom.OpenSQLite(path)
		if err != nil {
			t.Fatal(err)
		}
		stores := []chatroom.Store{s, model}
		sameContent(t, stores, events)
		// The same again changes nothing, and something new is gone on with.
		inBoth(t, stores, func(s chatroom.Store) (any, error) { return s.Append(t.Context(), events) })
		events = append(events, said(events[len(events)-1].Seq+1, "something new"))
		inBoth(t, stores, func(s chatroom.Store) (any, error) { return s.Append(t.Context(), events[len(events)-1:]) })
		sameContent(t, stores, events)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// inBoth compares what the two stores answer.
func inBoth(t *testing.T, stores []chatroom.Store, call func(chatroom.Store) (any, error)) {
	t.Helper()
	got, err := call(stores[0])
	want, wantErr := call(stores[1])
	if err != nil || wantErr != nil {
		t.Fatalf("errors %v and %v", err, wantErr)
	}
	if v := reflect.ValueOf(got); v.Kind() == reflect.Slice && v.Len() == 0 && reflect.ValueOf(want).Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("the file has %+v\nthe model %+v", got, want)
	}
}

// sameContent compares everything that can be read.
func sameContent(t *testing.T, stores []chatroom.Store, events []chatroom.Event) {
	t.Helper()
	ctx := t.Context()
	same := func(call func(chatroom.Store) (any, error)) { t.Helper(); inBoth(t, stores, call) }
	rooms := map[string]bool{"never written": true}
	for _, e := range events {
		rooms[e.Room] = true
		same(func(s chatroom.Store) (any, error) {
			seq, digest, err := s.(chatroom.KeyFinder).FindKey(ctx, e.Room, e.From.ID, e.Key)
			return []int64{int64(seq), digest}, err
		})
	}
	for room := range rooms {
		same(func(s chatroom.Store) (any, error) { return s.LastSeq(ctx, room) })
		same(func(s chatroom.Store) (any, error) { return s.Events(ctx, room, 0, 1000) })
		same(func(s chatroom.Store) (any, error) { return s.Messages(ctx, room, chatroom.Page{Limit: 1000}) })
		same(func(s chatroom.Store) (any, error) {
			return s.Messages(ctx, room, chatroom.Page{Around: events[4].Seq, Limit: 3})
		})
		for _, user := range []string{"u-ann", "u-bob", "u-cid", "nobody"} {
			same(func(s chatroom.Store) (any, error) {
				mark, unread, err := s.(chatroom.ReadMarker).Unread(ctx, room, user)
				return []int{int(mark), unread}, err
			})
		}
	}
	same(func(s chatroom.Store) (any, error) { return s.(chatroom.ClockKeeper).MaxSeq(ctx) })
}
