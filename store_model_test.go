package chatroom_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// TestSQLiteDoesWhatTheModelDoes gives the same random batches, some of them
// twice or in halves as after a lost answer, to both stores.
func TestSQLiteDoesWhatTheModelDoes(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			stores := []chatroom.Store{openSQLite(t, newPath(t)), chatroom.NewMemoryStore()}
			seq := chatroom.Seq(0)
			for range 25 {
				batch := make([]chatroom.Event, 1+r.IntN(12))
				for i := range batch {
					seq += chatroom.Seq(1 + r.IntN(3))
					batch[i] = randomEvent(r, seq)
				}
				both(t, stores, func(s chatroom.Store) (any, error) { return s.Append(t.Context(), batch) })
				if r.IntN(3) == 0 {
					from := r.IntN(len(batch))
					both(t, stores, func(s chatroom.Store) (any, error) { return s.Append(t.Context(), batch[from:]) })
				}
			}
			for _, room := range []string{"a", "b", "c"} {
				both(t, stores, func(s chatroom.Store) (any, error) { return s.LastSeq(t.Context(), room) })
				both(t, stores, func(s chatroom.Store) (any, error) { return s.Events(t.Context(), room, 0, 10_000) })
				for range 10 {
					at, limit := chatroom.Seq(r.Int64N(int64(seq)+2)), 1+r.IntN(30)
					for _, q := range []chatroom.Page{{Limit: limit}, {Before: at, Limit: limit}, {After: at, Limit: limit}, {Around: at, Limit: limit}} {
						both(t, stores, func(s chatroom.Store) (any, error) { return s.Messages(t.Context(), room, q) })
					}
					both(t, stores, func(s chatroom.Store) (any, error) { return s.Events(t.Context(), room, at, limit) })
				}
				for user := range 4 {
					both(t, stores, func(s chatroom.Store) (any, error) {
						_, n, err := s.(chatroom.ReadMarker).Unread(t.Context(), room, fmt.Sprint("u", user))
						return n, err
					})
				}
			}
			both(t, stores, func(s chatroom.Store) (any, error) { return s.(chatroom.ClockKeeper).MaxSeq(t.Context()) })
		})
	}
}

func randomEvent(r *rand.Rand, seq chatroom.Seq) chatroom.Event {
	e := chatroom.Event{
		Type: chatroom.EventMessage, Room: string("abc"[min(r.IntN(5), 2)]), Seq: seq,
		From: chatroom.User{ID: fmt.Sprint("u", r.IntN(4)), Name: "Somebody"},
	}
	if r.IntN(2) == 0 {
		e.Text = fmt.Sprint("text ", r.IntN(3))
		if r.IntN(3) > 0 {
			e.Key = fmt.Sprint("k", r.IntN(12))
		}
		if r.IntN(4) == 0 {
			e.Data = json.RawMessage(`{"n":1}`)
		}
		return e
	}
	e.Target = max(1, seq-chatroom.Seq(r.IntN(30)))
	switch r.IntN(8) {
	case 0:
		e.Type = chatroom.EventDelete
	case 1:
		e.Type, e.From = chatroom.EventRetract, chatroom.User{}
	case 2, 3:
		e.Type, e.Text = chatroom.EventEdit, fmt.Sprint("edited ", seq)
	default:
		e.Type, e.Emoji, e.On = chatroom.EventReact, string("xyz"[r.IntN(3)]), r.IntN(3) > 0
	}
	return e
}

func both(t *testing.T, stores []chatroom.Store, call func(chatroom.Store) (any, error)) {
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
		t.Fatalf("SQLite %+v\n model %+v", got, want)
	}
}
