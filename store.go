package chatroom

import (
	"context"
	"errors"
)

// Store keeps rooms. The hub is its only writer; readers run beside it.
//
// The contract, which package storetest checks:
//
//   - Every method may be called concurrently with every other. The hub calls
//     Append from one goroutine at a time.
//   - A method returns when ctx ends, with an error that wraps ctx's; Append then
//     may or may not have stored the batch.
//   - Slices, and what they point to, belong to the caller before and after.
//   - A room that was never written is empty, not an error.
//   - Rooms never affect each other. Room names, user IDs and texts are
//     arbitrary UTF-8 and come back byte for byte.
type Store interface {
	// Append stores events in one transaction, in order: all or none, durable
	// when it returns nil. Seqs increase within a room, in and across calls.
	//
	// It is idempotent on (Room, Seq): an event that is already there, found by
	// its seq alone, is left as it is and reported as stored; a message that was
	// retracted since stays away. A message whose (Room, From.ID, Key), Key
	// not empty, belongs to a message at another seq is not stored; its result names that
	// seq and whether Event.Digest differs from the first one's.
	//
	// An edit, delete or react also changes the state Messages returns: an edit
	// replaces Text; a delete clears Text, Data and Reactions and sets Deleted; later changes to a
	// deleted message only enter the log. A retract removes its Target, message
	// and key, from state and log, and itself enters the log; its target may be
	// unknown. A change whose target is unknown only enters the log. An emoji keeps
	// its place until nobody has it; a react with a new emoji on a message that
	// has MaxReactionEmoji only enters the log.
	// Results are one per event, in order.
	//
	// An error that wraps ErrStoreRefused means that some event of this batch
	// can never be stored (an unknown Type, a Seq below 1, what the engine rejects);
	// the hub then finds out which. Any other error is
	// temporary and the hub tries the same batch again.
	Append(ctx context.Context, events []Event) ([]AppendResult, error)

	// Messages returns one page of a room's messages as they stand now, oldest
	// first, deleted ones included (without text), retracted ones not.
	Messages(ctx context.Context, room string, q Page) ([]Message, error)

	// Events returns at most limit events of a room with a seq greater than
	// after, oldest first, with Prev zero. A message event shows the message's current
	// text and data, and none when it is deleted.
	// Edits of a deleted message have no text; a retract leaves events about its target.
	Events(ctx context.Context, room string, after Seq, limit int) ([]Event, error)

	// LastSeq returns the highest seq the room's log ever held, counting retracted
	// messages (their retracts are later), or 0 for a room never written.
	LastSeq(ctx context.Context, room string) (Seq, error)
}

// AppendResult tells what became of one event.
type AppendResult struct {
	Seq       Seq  // where the event is: its own seq, or that of the message that had the key first
	Duplicate bool // the key was taken by the same message; this event was not stored
	Conflict  bool // the key was taken by a different message; this event was not stored
}

// Page asks for messages around a position. At most one of Before, After and
// Around is set; none of them means the newest page. Seqs in it need not exist.
type Page struct {
	Before Seq // the newest messages with a lower seq
	After  Seq // the oldest messages with a higher seq
	// Around asks for the newest (Limit+1)/2 messages at or below it and the
	// oldest Limit/2 above it; one side is not filled up from the other.
	Around Seq
	Limit  int // below 1 gives an empty page
}

// ReadMarker is a Store that also keeps how far each user has read.
type ReadMarker interface {
	// MarkRead moves the user's mark in the room to seq, never backwards. Durable when it returns nil.
	MarkRead(ctx context.Context, room, userID string, seq Seq) error
	// Unread returns the user's mark (0 for none) and how many messages by
	// others, not deleted, come after it. It stops counting at MaxUnread.
	Unread(ctx context.Context, room, userID string) (mark Seq, unread int, err error)
}

// MaxUnread is where counting unread messages stops: a badge shows "999+".
const MaxUnread = 1000

// KeyFinder is a Store that can look a key up before a message is accepted, so
// that members never see the second copy of a message sent again after a restart.
type KeyFinder interface {
	// FindKey returns the seq and digest of the message with this key, or 0, 0.
	FindKey(ctx context.Context, room, userID, key string) (seq Seq, digest int64, err error)
}

// ClockKeeper is a Store that knows the highest seq of all rooms. A hub that
// starts with a wall clock behind it goes on from there instead.
type ClockKeeper interface {
	// MaxSeq returns the highest seq ever stored in any room; 0 for none.
	MaxSeq(ctx context.Context) (Seq, error)
}

var (
	// ErrStoreRefused is wrapped by an Append error when an event of the batch can never be stored.
	ErrStoreRefused = errors.New("chatroom: store refused the event")
	// ErrStoreFull is wrapped by an Append error when the disk is full or
	// cannot be written. It is temporary: the hub tries again.
	ErrStoreFull = errors.New("chatroom: store is full")
)
