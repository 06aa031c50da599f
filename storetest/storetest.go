// Package storetest checks that a [chatroom.Store] keeps its contract. Whoever
// writes a store runs it as a test:
//
//	func TestMyStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) chatroom.Store { return openMyStore(t) })
//	}
//
// Run it with -race.
package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// Run checks the store that open returns. It calls open once per subtest, for an
// empty store each time; open registers what is to be cleaned up with t.
//
// The optional interfaces ReadMarker, KeyFinder and ClockKeeper are checked when
// the store implements them, and skipped with a word about it otherwise.
func Run(t *testing.T, open func(t *testing.T) chatroom.Store) {
	t.Helper()
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Append", appendTests},
		{"Change", changeTests},
		{"React", reactTests},
		{"Messages", pageTests},
		{"Events", eventTests},
		{"Concurrency", concurrencyTests},
		{"ReadMarker", markTests},
		{"KeyFinder", keyTests},
		{"ClockKeeper", clockTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) { test.run(&suite{T: t, store: open(t)}) })
			}
		})
	}
}

type test struct {
	name string
	run  func(s *suite)
}

// suite is one subtest with its store. Its methods end the subtest when the
// store fails.
type suite struct {
	*testing.T
	store chatroom.Store
}

var (
	ann = chatroom.User{ID: "u1", Name: "Ann"}
	bob = chatroom.User{ID: "u2", Name: "Bob"}
)

const room = "lobby"

// say is a message by Ann in the room.
func say(seq chatroom.Seq, text string) chatroom.Event {
	return chatroom.Event{Type: chatroom.EventMessage, Room: room, Seq: seq, From: ann, Text: text}
}

func keyed(seq chatroom.Seq, from chatroom.User, key, text string) chatroom.Event {
	e := say(seq, text)
	e.From, e.Key = from, key
	return e
}

func edit(seq, target chatroom.Seq, text string) chatroom.Event {
	return chatroom.Event{Type: chatroom.EventEdit, Room: room, Seq: seq, From: ann, Target: target, Text: text}
}

func remove(seq, target chatroom.Seq) chatroom.Event {
	return chatroom.Event{Type: chatroom.EventDelete, Room: room, Seq: seq, From: ann, Target: target}
}

func retract(seq, target chatroom.Seq) chatroom.Event {
	return chatroom.Event{Type: chatroom.EventRetract, Room: room, Seq: seq, Target: target}
}

func react(seq, target chatroom.Seq, userID, emoji string, on bool) chatroom.Event {
	return chatroom.Event{
		Type: chatroom.EventReact, Room: room, Seq: seq, Target: target,
		From: chatroom.User{ID: userID, Name: userID}, Emoji: emoji, On: on,
	}
}

// messages are n messages in the room with the seqs step, 2*step, …
func messages(n int, step chatroom.Seq) []chatroom.Event {
	events := make([]chatroom.Event, n)
	for i := range events {
		seq := chatroom.Seq(i+1) * step
		events[i] = say(seq, fmt.Sprintf("text %d", seq))
	}
	return events
}

func (s *suite) append(events ...chatroom.Event) []chatroom.AppendResult {
	s.Helper()
	results, err := s.store.Append(s.Context(), events)
	if err != nil {
		s.Fatalf("Append: %+v", err)
	}
	if len(results) != len(events) {
		s.Fatalf("Append of %d events returned %d results", len(events), len(results))
	}
	return results
}

func (s *suite) page(q chatroom.Page) []chatroom.Message { s.Helper(); return s.pageOf(room, q) }

func (s *suite) pageOf(room string, q chatroom.Page) []chatroom.Message {
	s.Helper()
	page, err := s.store.Messages(s.Context(), room, q)
	if err != nil {
		s.Fatalf("Messages(%q, %+v): %+v", room, q, err)
	}
	return page
}

// all are the room's messages.
func (s *suite) all() []chatroom.Message { s.Helper(); return s.page(chatroom.Page{Limit: 10_000}) }

// message is the one with this seq.
func (s *suite) message(seq chatroom.Seq) chatroom.Message {
	s.Helper()
	page := s.page(chatroom.Page{Around: seq, Limit: 1})
	if len(page) != 1 || page[0].Seq != seq {
		s.Fatalf("message %d: got %+v", seq, page)
	}
	return page[0]
}

func (s *suite) eventsOf(room string, after chatroom.Seq, limit int) []chatroom.Event {
	s.Helper()
	events, err := s.store.Events(s.Context(), room, after, limit)
	if err != nil {
		s.Fatalf("Events(%q, %d, %d): %+v", room, after, limit, err)
	}
	return events
}

// log is the room's whole log.
func (s *suite) log() []chatroom.Event { s.Helper(); return s.eventsOf(room, 0, 10_000) }

func (s *suite) lastSeq(room string) chatroom.Seq {
	s.Helper()
	last, err := s.store.LastSeq(s.Context(), room)
	if err != nil {
		s.Fatalf("LastSeq(%q): %+v", room, err)
	}
	return last
}

// same fails when got is not want. An empty slice is as good as nil.
func same[T any](s *suite, what string, got, want T) {
	s.Helper()
	g := reflect.ValueOf(got)
	if g.Kind() == reflect.Slice && g.Len() == 0 && reflect.ValueOf(want).Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		s.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func messageSeqs(page []chatroom.Message) []chatroom.Seq {
	seqs := make([]chatroom.Seq, len(page))
	for i, m := range page {
		seqs[i] = m.Seq
	}
	return seqs
}

func eventSeqs(events []chatroom.Event) []chatroom.Seq {
	seqs := make([]chatroom.Seq, len(events))
	for i, e := range events {
		seqs[i] = e.Seq
	}
	return seqs
}

func seqs(list ...chatroom.Seq) []chatroom.Seq { return list }

func stored(list ...chatroom.Seq) []chatroom.AppendResult {
	results := make([]chatroom.AppendResult, len(list))
	for i, seq := range list {
		results[i].Seq = seq
	}
	return results
}

// ended is a context that has been cancelled.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
