package chatroom_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// TestSQLiteDoesWhatTheModelDoes does the same random things to both stores.
func TestSQLiteDoesWhatTheModelDoes(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := storeWalk{t: t, sqlite: openSQLite(t, newPath(t)), model: chatroom.NewMemoryStore(), choose: rand.New(rand.NewPCG(seed, 0)).IntN}
			for range 80 {
				w.step()
			}
			w.compare()
			w.same("MaxSeq", func(s modelledStore) (any, error) { return s.MaxSeq(t.Context()) })
		})
	}
}

// storeScript is how many bytes of an input FuzzStore looks at: 20 to 60 events, a few ms.
const storeScript = 400

// FuzzStore takes its input for the choices of a storeWalk. All inputs share the two stores, each in rooms of its own.
func FuzzStore(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, storeScript*(seed+1)/8)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		f.Add(script)
	}
	f.Add([]byte{})
	sqlite := openSQLite(f, newPath(f))
	if err := sqlite.ExecOnWriter(f.Context(), "PRAGMA synchronous = OFF"); err != nil { // what is compared is there without a sync
		f.Fatal(err)
	}
	model := chatroom.NewMemoryStore()
	run := 0
	f.Fuzz(func(t *testing.T, script []byte) {
		run++
		script = script[:min(len(script), storeScript)]
		w := storeWalk{t: t, sqlite: sqlite, model: model, rooms: fmt.Sprint(run, " ")}
		w.choose = func(n int) int {
			if len(script) == 0 {
				return 0
			}
			v := int(script[0])
			script = script[1:]
			return v % n
		}
		for len(script) > 0 {
			w.step()
		}
		w.compare()
	})
}

// modelledStore is a store with all that can be compared.
type modelledStore interface {
	chatroom.Store
	chatroom.ReadMarker
	chatroom.KeyFinder
	chatroom.ClockKeeper
}

// storeWalk does to SQLite and to the memory store, which is the model, what choose says, and compares their answers.
type storeWalk struct {
	t             *testing.T
	sqlite, model modelledStore
	rooms         string           // what their names begin with
	choose        func(n int) int  // from 0 to n-1; n is at most 256
	seq           chatroom.Seq     // the last one given
	events        []chatroom.Event // all that were appended
}

var (
	modelRooms = []string{"a", "a", "a", "A", "a\x00"}
	modelUsers = []string{"u", "U", "ü", "' --"}
	modelKeys  = []string{"", "", "k", "K", "k-1", "k_1"}
	modelTexts = []string{"", "hi", "a\x00b", "💬'\"\\ %_", strings.Repeat("é", 3000)}
	modelData  = []string{"", "", "", `{"n":1}`, `null`, `"\u0000"`}
	modelEmoji = []string{"👍", "👍🏽", "x", "X", "é", "e\u0301"}
)

func (w *storeWalk) pick(from []string) string { return from[w.choose(len(from))] }
func (w *storeWalk) room() string              { return w.rooms + w.pick(modelRooms) }

// at is a position in the neighbourhood of what there is.
func (w *storeWalk) at() chatroom.Seq {
	return max(0, w.seq+2-chatroom.Seq(w.choose(64)))
}

func (w *storeWalk) step() {
	ctx, room, user := w.t.Context(), w.room(), w.pick(modelUsers)
	switch w.choose(12) {
	case 0:
		q := [4]chatroom.Page{{}, {Before: w.at()}, {After: w.at()}, {Around: w.at()}}[w.choose(4)]
		q.Limit = w.choose(24) - 1
		w.same(fmt.Sprintf("Messages %q %+v", room, q), func(s modelledStore) (any, error) { return s.Messages(ctx, room, q) })
	case 1:
		after, limit := w.at(), w.choose(24)-1
		w.same(fmt.Sprintf("Events %q %d %d", room, after, limit), func(s modelledStore) (any, error) { return s.Events(ctx, room, after, limit) })
	case 2:
		w.findKey(room, user, w.pick(modelKeys[1:]))
	case 3:
		to := w.at()
		w.same("MarkRead", func(s modelledStore) (any, error) { return nil, s.MarkRead(ctx, room, user, to) })
		w.unread(room, user)
	case 4:
		w.lastSeq(room)
	case 5, 6: // as after a lost answer
		if len(w.events) > 0 {
			w.append(w.events[max(0, len(w.events)-1-w.choose(16)):])
		}
	case 7: // what no store keeps; nor the events beside it
		batch := w.batch()
		w.seq -= chatroom.Seq(len(batch))
		bad := &batch[w.choose(len(batch))]
		if w.choose(2) == 0 {
			bad.Type = "poison"
		} else {
			bad.Seq = 0
		}
		w.append(batch)
	default:
		batch := w.batch()
		w.events = append(w.events, batch...)
		w.append(batch)
	}
}

// batch makes events with the next seqs, some of them left out.
func (w *storeWalk) batch() []chatroom.Event {
	batch := make([]chatroom.Event, 1+w.choose(12))
	for i := range batch {
		w.seq += chatroom.Seq(1 + w.choose(3))
		batch[i] = w.event()
	}
	return batch
}

func (w *storeWalk) event() chatroom.Event {
	e := chatroom.Event{
		Type: chatroom.EventMessage, Room: w.room(), Seq: w.seq,
		From: chatroom.User{ID: w.pick(modelUsers), Name: "Somebody"},
	}
	if w.choose(2) == 0 {
		e.Text, e.Key = w.pick(modelTexts), w.pick(modelKeys)
		if data := w.pick(modelData); data != "" {
			e.Data = json.RawMessage(data)
		}
		e.ReplyTo = chatroom.Seq(w.choose(2)) * w.at()
		return e
	}
	e.Target = max(1, w.seq-chatroom.Seq(w.choose(30)))
	switch w.choose(8) {
	case 0:
		e.Type = chatroom.EventDelete
	case 1:
		e.Type, e.From = chatroom.EventRetract, chatroom.User{}
	case 2, 3:
		e.Type, e.Text = chatroom.EventEdit, w.pick(modelTexts)
	default:
		e.Type, e.Emoji, e.On = chatroom.EventReact, w.pick(modelEmoji), w.choose(3) > 0
	}
	return e
}

// compare asks both stores for everything.
func (w *storeWalk) compare() {
	ctx := w.t.Context()
	for _, name := range modelRooms[2:] {
		room := w.rooms + name
		w.lastSeq(room)
		w.same("Events of "+room, func(s modelledStore) (any, error) { return s.Events(ctx, room, 0, 10_000) })
		w.same("Messages of "+room, func(s modelledStore) (any, error) {
			return s.Messages(ctx, room, chatroom.Page{Limit: 10_000})
		})
		for _, user := range modelUsers {
			w.unread(room, user)
		}
	}
	for _, e := range w.events {
		if e.Key != "" {
			w.findKey(e.Room, e.From.ID, e.Key)
		}
	}
}

func (w *storeWalk) append(batch []chatroom.Event) {
	w.same(fmt.Sprintf("Append %+v", batch), func(s modelledStore) (any, error) { return s.Append(w.t.Context(), batch) })
}

func (w *storeWalk) lastSeq(room string) {
	w.same("LastSeq "+room, func(s modelledStore) (any, error) { return s.LastSeq(w.t.Context(), room) })
}

func (w *storeWalk) unread(room, user string) {
	w.same("Unread "+room+user, func(s modelledStore) (any, error) {
		mark, n, err := s.Unread(w.t.Context(), room, user)
		return [2]any{mark, n}, err
	})
}

func (w *storeWalk) findKey(room, user, key string) {
	w.same("FindKey "+room+user+key, func(s modelledStore) (any, error) {
		seq, digest, err := s.FindKey(w.t.Context(), room, user, key)
		return [2]any{seq, digest}, err
	})
}

// same makes a call of both stores; what may fail is an Append, as refused.
func (w *storeWalk) same(what string, call func(modelledStore) (any, error)) {
	w.t.Helper()
	got, err := call(w.sqlite)
	want, wantErr := call(w.model)
	if (err == nil) != (wantErr == nil) || err != nil && (!errors.Is(err, chatroom.ErrStoreRefused) || !errors.Is(wantErr, chatroom.ErrStoreRefused)) {
		w.t.Fatalf("%s: errors %v and %v", what, err, wantErr)
	}
	if v := reflect.ValueOf(got); err != nil || v.Kind() == reflect.Slice && v.Len() == 0 && reflect.ValueOf(want).Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		w.t.Fatalf("%s:\nSQLite %+v\n model %+v", what, got, want)
	}
}
