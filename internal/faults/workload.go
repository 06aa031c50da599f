package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/chatroom-go/chatroom"
)

// Workload is what a client does at random. Weights are relative; Send may not be 0.
type Workload struct {
	Rooms       []string
	Size        int           // of a text, at most
	Outstanding int           // requests without a final answer, at most
	Ops         int           // stops after that many; 0 goes on until ctx ends
	Every       time.Duration // between operations, on average; 0 goes as fast as the answers come

	Send, Edit, Delete, React int
	Drop                      int // the connection is cut
	Leave                     int // leaves a room and joins again at the next operation there
	Fresh                     int // joins again without a position
	Pause                     int // stops reading for up to PauseMost
	PauseMost                 time.Duration
}

// Talk is a workload of messages alone.
func Talk(rooms ...string) Workload {
	return Workload{Rooms: rooms, Size: 200, Outstanding: 8, Send: 1}
}

// Mixed is a workload of everything people do.
func Mixed(rooms ...string) Workload {
	return Workload{Rooms: rooms, Size: 200, Outstanding: 8, Send: 60, Edit: 8, Delete: 4, React: 10}
}

// kinds of operations, in the order of weights.
const (
	opSend = iota
	opEdit
	opDelete
	opReact
	opDrop
	opLeave
	opFresh
	opPause
)

// worker is one client at work.
type worker struct {
	Workload
	client *Client
	rng    *rand.Rand
	open   []*Pending
	edits  int
}

// Drive works with c until ctx ends or all operations are done, and returns how many there were.
// The same seed gives the same operations, as far as the answers are the same.
func (w Workload) Drive(ctx context.Context, c *Client, seed uint64) (ops int) {
	k := &worker{Workload: w, client: c, rng: rand.New(rand.NewPCG(seed, 0x63686174))}
	for _, room := range w.Rooms {
		c.Join(room, false)
	}
	back := func() { // what is not sent yet needs its room
		for _, room := range w.Rooms {
			if !c.in(room) {
				c.Join(room, false)
			}
		}
	}
	defer back()
	for ctx.Err() == nil && (w.Ops == 0 || ops < w.Ops) {
		if w.Every > 0 {
			k.rest(ctx, time.Duration(k.rng.Int64N(int64(2*w.Every))))
		}
		k.step(ctx)
		ops++
		for len(k.open) >= w.Outstanding {
			back()
			select {
			case <-k.open[0].Done():
				k.open = k.open[1:]
			case <-ctx.Done():
				return ops
			}
		}
	}
	return ops
}

func (k *worker) pick() int {
	weights := [...]int{k.Send, k.Edit, k.Delete, k.React, k.Drop, k.Leave, k.Fresh, k.Pause}
	sum := 0
	for _, n := range weights {
		sum += n
	}
	at := k.rng.IntN(sum)
	for op, n := range weights {
		if at -= n; at < 0 {
			return op
		}
	}
	return opSend
}

func (k *worker) step(ctx context.Context) {
	room := k.Rooms[k.rng.IntN(len(k.Rooms))]
	op := k.pick()
	if !k.client.in(room) {
		k.client.Join(room, false)
	}
	switch op {
	case opSend:
		k.open = append(k.open, k.client.Send(room, 20+k.rng.IntN(k.Size)))
	case opEdit:
		if seq := k.client.target(room, k.rng, true); seq != 0 {
			k.edits++
			text := Text(fmt.Sprintf("edit-%s-%d", k.client.User, k.edits), 20+k.rng.IntN(k.Size))
			k.open = append(k.open, k.client.Change("edit", room, fmt.Sprintf(`,"seq":%d,"text":%q`, seq, text)))
		}
	case opDelete:
		if seq := k.client.target(room, k.rng, true); seq != 0 {
			k.open = append(k.open, k.client.Change("delete", room, fmt.Sprintf(`,"seq":%d`, seq)))
		}
	case opReact:
		if seq := k.client.target(room, k.rng, false); seq != 0 {
			emoji := []string{"👍", "❤", "😀", "🎉"}[k.rng.IntN(4)]
			k.open = append(k.open, k.client.Change("react", room, fmt.Sprintf(`,"seq":%d,"emoji":%q,"on":%t`, seq, emoji, k.rng.IntN(3) > 0)))
		}
	case opDrop:
		k.client.Drop()
	case opLeave:
		k.client.Leave(room)
	case opFresh:
		k.client.Join(room, true)
	case opPause:
		k.client.Pause(true)
		k.rest(ctx, time.Duration(k.rng.Int64N(int64(k.PauseMost))))
		k.client.Pause(false)
	}
}

func (k *worker) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// in reports whether the client wants to be in the room.
func (c *Client) in(room string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.rooms[room]
	return v != nil && v.wanted
}

// target picks a recent message to change: one of the client's own, or anybody's. 0 when there is none.
func (c *Client) target(room string, rng *rand.Rand, own bool) chatroom.Seq {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.rooms[room]
	if v == nil || !v.joined {
		return 0
	}
	recent := v.recent
	if own {
		recent = v.own
	}
	if len(recent) == 0 {
		return 0
	}
	return recent[rng.IntN(len(recent))]
}
