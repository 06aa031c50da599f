// Package chatroom is an embeddable library for chat rooms: live over
// WebSocket, durable in a [Store], resumable without a gap.
//
// A host application opens a store, makes one [Hub] and mounts it as an
// [net/http.Handler] on its own mux. People talk through the browser client the
// hub serves; host code talks through [Hub.Room].
//
// A room is a log of events, each with a [Seq], and a client is a cursor in it.
// ARCHITECTURE.md tells how, PROTOCOL.md what goes over the wire.
package chatroom

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"time"
)

// Seq is the position of an event in its room: Unix microseconds, made strictly
// increasing within the room. It is never given twice and has holes by nature.
// Zero is the position before the first event.
type Seq int64

// Time returns the moment a seq stands for, which is when its event was
// accepted (or very slightly later, under a burst).
func (s Seq) Time() time.Time { return time.UnixMicro(int64(s)) }

// SeqAt returns the position that stands for t, to page from a date.
func SeqAt(t time.Time) Seq { return Seq(t.UnixMicro()) }

// User is a person or a program that acts in rooms.
type User struct {
	ID   string // what the host knows the user by: 1 to 128 bytes, no control characters
	Name string // what others see; the ID when empty; at most 64 runes
}

// Draft is a message that has not been accepted yet.
type Draft struct {
	From User   // the sender
	Text string // at most Limits.TextBytes and Limits.TextRunes, never truncated
	// Data is any JSON value the host's client understands, kept as it is.
	// It counts towards Limits.TextBytes. A draft needs text or data.
	Data    json.RawMessage
	ReplyTo Seq // the message this one answers; 0 for none; not checked to exist
	// Key makes sending again safe: 1 to 64 of [A-Za-z0-9_-], unique per room
	// and sender for as long as the message is kept. Empty means no protection.
	Key string
}

// Message is a message as it stands now, after its edits.
type Message struct {
	Room      string
	Seq       Seq // its position, which is also its identity within the room
	From      User
	Text      string          // empty once Deleted
	Data      json.RawMessage // nil when there is none and once Deleted
	ReplyTo   Seq
	Key       string
	Edited    Seq // the seq of its latest edit; 0 when never edited
	Deleted   bool
	Reactions []Reaction // in the order the emoji first appeared; nil for none
}

// Reaction is one emoji on a message and who gave it.
type Reaction struct {
	Emoji string
	Count int      // how many users
	Users []string // the first MaxReactionUsers of their IDs, in order of reacting
}

const (
	// MaxReactionUsers is how many user IDs a Reaction names; Count goes on.
	MaxReactionUsers = 100
	// MaxReactionEmoji is how many different emoji one message can carry.
	MaxReactionEmoji = 32
)

// EventType says what an Event did.
type EventType string

// The numbered events: everything a room remembers.
const (
	EventMessage EventType = "message" // a new message
	EventEdit    EventType = "edit"    // Target has Text now
	EventDelete  EventType = "delete"  // Target lost its text, data and reactions
	EventReact   EventType = "react"   // From put Emoji on Target (On) or took it off
	EventRetract EventType = "retract" // Target was shown but could not be kept: forget it
)

// Event is one entry of a room's log.
type Event struct {
	Type EventType
	Room string
	Seq  Seq
	// Prev is the seq of the event before this one in the room, or the position
	// that was asked from. A consumer that last saw another seq has missed
	// something. Stores need not keep it.
	Prev Seq
	From User // who did it; zero for a retract

	Text    string          // message, edit
	Data    json.RawMessage // message
	ReplyTo Seq             // message
	Key     string          // message

	Target Seq    // edit, delete, react, retract: the message it is about
	Emoji  string // react
	On     bool   // react

	digest int64 // of the draft as it was sent, where BeforeSend changed it
}

// Digest is what a store keeps and compares when a key comes again: the same
// key with another digest is another message. It is never 0.
func (e Event) Digest() int64 {
	if e.digest != 0 {
		return e.digest
	}
	h := fnv.New64a()
	h.Write([]byte(e.Text))
	h.Write([]byte{0xff}) // never part of UTF-8, so the fields cannot run together
	h.Write(e.Data)
	h.Write(binary.BigEndian.AppendUint64([]byte{0xff}, uint64(e.ReplyTo)))
	return int64(h.Sum64() | 1)
}

// Message returns the message that a message event creates.
func (e Event) Message() Message {
	return Message{Room: e.Room, Seq: e.Seq, From: e.From, Text: e.Text, Data: e.Data, ReplyTo: e.ReplyTo, Key: e.Key}
}
