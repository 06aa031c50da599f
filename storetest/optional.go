package storetest

import (
	"fmt"

	"github.com/chatroom-go/chatroom"
)

// optional runs f with the store as a T, or skips.
func optional[T any](f func(s *suite, store T)) func(*suite) {
	return func(s *suite) {
		store, ok := s.store.(T)
		if !ok {
			s.Skipf("%T is no %T", s.store, (*T)(nil))
		}
		f(s, store)
	}
}

func unread(s *suite, store chatroom.ReadMarker, userID string) (mark chatroom.Seq, n int) {
	s.Helper()
	mark, n, err := store.Unread(s.Context(), room, userID)
	if err != nil {
		s.Fatalf("Unread(%q): %+v", userID, err)
	}
	return mark, n
}

func markRead(s *suite, store chatroom.ReadMarker, userID string, seq chatroom.Seq) {
	s.Helper()
	if err := store.MarkRead(s.Context(), room, userID, seq); err != nil {
		s.Fatalf("MarkRead(%q, %d): %+v", userID, seq, err)
	}
}

var markTests = []test{
	{"NeverBackwards", optional(func(s *suite, store chatroom.ReadMarker) {
		s.append(messages(10, 10)...)
		for _, c := range []struct{ to, mark, unread int }{{30, 30, 7}, {20, 30, 7}, {30, 30, 7}, {55, 55, 5}, {1000, 1000, 0}, {0, 1000, 0}} {
			markRead(s, store, "u2", chatroom.Seq(c.to))
			mark, n := unread(s, store, "u2")
			if mark != chatroom.Seq(c.mark) || n != c.unread {
				s.Errorf("marked %d: mark %d with %d unread, want %d with %d", c.to, mark, n, c.mark, c.unread)
			}
		}
	})},
	{"CountsMessagesByOthersThatAreThere", optional(func(s *suite, store chatroom.ReadMarker) {
		s.append(say(1, "a"), keyed(2, bob, "k", "b"), say(3, "c"), say(4, "d"), say(5, "e"),
			remove(6, 3), retract(7, 4), edit(8, 1, "x"), react(9, 1, "u3", "👍", true))
		for user, want := range map[string]int{"u1": 1, "u2": 2, "u3": 3} {
			if mark, n := unread(s, store, user); mark != 0 || n != want {
				s.Errorf("%s: mark %d, unread %d; want 0, %d", user, mark, n, want)
			}
		}
	})},
	{"StopsAtMaxUnread", optional(func(s *suite, store chatroom.ReadMarker) {
		s.append(messages(chatroom.MaxUnread+5, 1)...)
		for _, c := range []struct{ mark, want int }{
			{0, chatroom.MaxUnread}, {4, chatroom.MaxUnread}, {5, chatroom.MaxUnread}, {6, chatroom.MaxUnread - 1},
		} {
			markRead(s, store, "u2", chatroom.Seq(c.mark))
			_, n := unread(s, store, "u2")
			same(s, fmt.Sprint("unread after ", c.mark), n, c.want)
		}
	})},
	{"BelongToUserAndRoom", optional(func(s *suite, store chatroom.ReadMarker) {
		s.append(messages(3, 1)...)
		markRead(s, store, "u2", 2)
		if err := store.MarkRead(s.Context(), "elsewhere", "u2", 3); err != nil {
			s.Fatal(err)
		}
		if mark, n := unread(s, store, "u2"); mark != 2 || n != 1 {
			s.Errorf("u2: mark %d, unread %d; want 2, 1", mark, n)
		}
		if mark, n := unread(s, store, "u3"); mark != 0 || n != 3 {
			s.Errorf("u3: mark %d, unread %d; want 0, 3", mark, n)
		}
	})},
	{"AnUnknownRoomHasNothingUnread", optional(func(s *suite, store chatroom.ReadMarker) {
		if mark, n := unread(s, store, "u2"); mark != 0 || n != 0 {
			s.Errorf("mark %d, unread %d; want 0, 0", mark, n)
		}
		markRead(s, store, "u2", 7) // leaves the room as empty as it was
		same(s, "last seq", s.lastSeq(room), 0)
		if mark, _ := unread(s, store, "u2"); mark != 7 {
			s.Errorf("mark %d, want 7", mark)
		}
	})},
}

var keyTests = []test{
	{"FindsKeptMessages", optional(func(s *suite, store chatroom.KeyFinder) {
		find := func(what, room, userID, key string, seq chatroom.Seq, digest int64) {
			s.Helper()
			gotSeq, gotDigest, err := store.FindKey(s.Context(), room, userID, key)
			if err != nil {
				s.Fatalf("%s: %+v", what, err)
			}
			if gotSeq != seq || gotDigest != digest {
				s.Errorf("%s: got %d, %d; want %d, %d", what, gotSeq, gotDigest, seq, digest)
			}
		}
		first := keyed(1, ann, "k", "hi")
		find("before", room, "u1", "k", 0, 0)
		s.append(first, keyed(2, ann, "l", "ho"), say(3, "no key"))
		find("stored", room, "u1", "k", 1, first.Digest())
		find("another user", room, "u2", "k", 0, 0)
		find("another room", "elsewhere", "u1", "k", 0, 0)
		find("another key", room, "u1", "K", 0, 0)
		find("no key", room, "u1", "", 0, 0)
		s.append(edit(4, 1, "edited"))
		find("edited", room, "u1", "k", 1, first.Digest())
		s.append(remove(5, 1))
		find("deleted", room, "u1", "k", 1, first.Digest())
		s.append(retract(6, 1))
		find("retracted", room, "u1", "k", 0, 0)
	})},
}

var clockTests = []test{
	{"HighestOfAllRooms", optional(func(s *suite, store chatroom.ClockKeeper) {
		highest := func(want chatroom.Seq) {
			s.Helper()
			got, err := store.MaxSeq(s.Context())
			if err != nil {
				s.Fatal(err)
			}
			same(s, "highest seq", got, want)
		}
		highest(0)
		other := say(50, "other")
		other.Room = "other"
		s.append(say(10, "a"), other, say(20, "b"))
		highest(50)
		s.append(edit(30, 10, "c"))
		highest(50)
		s.append(say(60, "d"), retract(70, 60))
		highest(70)
	})},
}
