//go:build linux

package works

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
)

// growth is work h: does it stay as fast and as small as it grows?
func growth(ctx context.Context, e *Env) (*report.Section, error) {
	s := &report.Section{
		ID: "h", Title: "Growth",
		About: "Server CPU per delivery as a room grows, beside the raw limit, whose share is the kernel's; memory as rooms become many; speed of storing as the database fills.",
	}
	return s, errors.Join(growMembers(ctx, e, s), growRooms(ctx, e, s), growRows(ctx, e, s))
}

// growMembers measures the cost of a delivery in rooms of growing size.
func growMembers(ctx context.Context, e *Env, s *report.Section) error {
	sizes := size(e, []int{10, 100, 1000, 10_000}, []int{10, 100, 500})
	t := report.Table{Caption: "Server CPU per delivery, one message under way / sixteen", Columns: []string{"members", ours, "in user mode", limit}}
	c := report.Chart{Title: "Server CPU per delivery by members, one message under way", Unit: "less is better"}
	cost := map[int]float64{} // of ours, serial
	for _, members := range sizes {
		row := []string{thousands(int64(members))}
		for _, name := range []string{ours, limit} {
			one, err := growCost(ctx, e, name, members, 1)
			if err != nil {
				return fmt.Errorf("members: %w", err)
			}
			sixteen, err := growCost(ctx, e, name, members, min(members, 16))
			if err != nil {
				return fmt.Errorf("members: %w", err)
			}
			e.logf("  %6d members, %-9s %s per delivery, sixteen under way %s", members, name, micros(one.cpu), micros(sixteen.cpu))
			row = append(row, micros(one.cpu)+" / "+micros(sixteen.cpu))
			if name == ours {
				cost[members] = one.cpu
				row = append(row, micros(one.user)+" / "+micros(sixteen.user))
			}
			c.Bars = append(c.Bars, report.Bar{Label: fmt.Sprintf("%s, %d", name, members), Value: one.cpu, Text: micros(one.cpu), Ours: name == ours})
		}
		t.Rows = append(t.Rows, row)
	}
	s.Tables, s.Charts = append(s.Tables, t), append(s.Charts, c)
	low, high := cost[100], cost[100]
	for _, members := range sizes {
		if members >= 100 {
			low, high = min(low, cost[members]), max(high, cost[members])
		}
	}
	s.Targets = append(s.Targets, report.Target{
		Claim:    "cost per delivery within ± 20 % from 100 to 10,000 members",
		Measured: fmt.Sprintf("%s to %s", micros(low), micros(high)), Met: (high-low)/(high+low) <= 0.2,
	})
	return nil
}

func growCost(ctx context.Context, e *Env, name string, members, outstanding int) (fanoutResult, error) {
	server, found := peers.Find(name)
	if !found {
		return fanoutResult{}, fmt.Errorf("no server is called %q", name)
	}
	var rs []fanoutResult
	for range e.Rounds {
		r, err := withServer(ctx, e, name, nil, func(ctx context.Context, p *child.Process) (fanoutResult, error) {
			swarm, err := connect(ctx, p, server, members, 1)
			if err != nil {
				return fanoutResult{}, err
			}
			defer swarm.Close()
			r, err := swarm.RunClosed(ctx, load.Closed{Outstanding: outstanding, Size: textSize,
				Warm: size(e, 500*time.Millisecond, 100*time.Millisecond), For: size(e, 3*time.Second, 200*time.Millisecond)})
			if err != nil {
				return fanoutResult{}, err
			}
			per := float64(r.Deliveries)
			return fanoutResult{cpu: r.Server.Seconds() / per, user: r.User.Seconds() / per}, nil
		})
		if err != nil {
			return fanoutResult{}, err
		}
		rs = append(rs, r)
	}
	return medianFanout(rs), nil
}

// growRooms measures, in this process, what rooms cost that somebody spoke in once.
func growRooms(ctx context.Context, e *Env, s *report.Section) (err error) {
	dir, err := e.runDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := peers.OpenWhole(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	empty := liveBytes()
	t := report.Table{Caption: "Memory of rooms, after one message each", Columns: []string{"rooms", "in memory", "Go heap and stacks", "per room"}}
	known := 0
	row := func(when string) float64 {
		grown := liveBytes() - empty
		per := grown / float64(known)
		t.Rows = append(t.Rows, []string{thousands(int64(known)) + when, thousands(int64(w.Hub.Stats().Rooms)), fmt.Sprintf("%.1f MB", grown/1e6), fmt.Sprintf("%.0f B", per)})
		e.logf("  %d rooms%s: %.0f bytes each", known, when, per)
		return per
	}
	var per float64
	for _, n := range size(e, []int{1000, 10_000, 100_000}, []int{100, 1000}) {
		if err := speakOnce(ctx, w.Hub, known, n); err != nil {
			return fmt.Errorf("rooms: %w", err)
		}
		known = n
		per = row(", just used")
	}
	if !e.Quick { // a room drops what only a busy one needs after a minute, and is looked at twice a minute
		select {
		case <-time.After(95 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		per = row(", idle for 95 s")
	}
	s.Tables = append(s.Tables, t)
	s.Targets = append(s.Targets, report.Target{Claim: "a known, idle room ≤ 1 KB", Measured: fmt.Sprintf("%.0f B", per), Met: per <= 1000})
	return nil
}

// speakOnce says one message in each of the rooms from first up to last.
func speakOnce(ctx context.Context, hub *chatroom.Hub, first, last int) error {
	const speakers = 500
	errs := make([]error, speakers)
	var group sync.WaitGroup
	for i := range speakers {
		group.Go(func() {
			for n := first + i; n < last && errs[i] == nil; n += speakers {
				_, errs[i] = hub.Room(fmt.Sprintf("g%06d", n)).Send(ctx, chatroom.Draft{From: userNumber(n % 20), Key: "k", Text: "hello"})
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func liveBytes() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// growRows measures how fast the store takes batches when it is full of rows.
func growRows(ctx context.Context, e *Env, s *report.Section) error {
	sets := size(e, []dataset{{1000, 1000, false}, {10_000, 1000, false}}, []dataset{{200, 100, false}, {200, 1000, true}})
	if e.Deep {
		sets = append(sets, dataset{50_000, 1000, true})
		s.Notes = append(s.Notes, "The 50 million rows were written in bulk, room after room; the others by the store, as rooms talk.")
	} else if !e.Quick {
		s.Notes = append(s.Notes, "50 million stored rows were not measured in this run: -deep does it.")
	}
	t := report.Table{Caption: "Storing batches of 1,000 messages over 200 rooms", Columns: []string{"rows already stored", "rows/s", "batch p50", "p99"}}
	for _, d := range sets {
		if err := d.make(ctx, e); err != nil {
			return err
		}
		var rates, p50s, p99s []float64
		for range e.Rounds {
			rate, batches, err := ingest(ctx, e, d)
			if err != nil {
				return fmt.Errorf("ingest: %w", err)
			}
			e.logf("  %d rows stored: %s rows/s", d.rows(), perSecond(rate))
			rates, p50s, p99s = append(rates, rate), append(p50s, batches.Quantile(0.5).Seconds()), append(p99s, batches.Quantile(0.99).Seconds())
		}
		same := func(v float64) float64 { return v }
		t.Rows = append(t.Rows, []string{thousands(int64(d.rows())), perSecond(median(rates, same)), millis(median(p50s, same)), millis(median(p99s, same))})
	}
	s.Tables = append(s.Tables, t)
	return nil
}

// ingest appends to a copy of a dataset and times each batch.
func ingest(ctx context.Context, e *Env, d dataset) (rate float64, batches *load.Histogram, err error) {
	dir, err := e.runDir()
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "chat.db")
	for _, suffix := range []string{"", "-wal"} {
		err := copyFile(file+suffix, filepath.Join(d.dir(e), "chat.db"+suffix))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, nil, err
		}
	}
	unix.Sync() // so that the copy is not written out while we measure
	if err := e.waitQuiet(ctx); err != nil {
		return 0, nil, err
	}
	db, err := chatroom.OpenSQLite(file)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	random := rand.New(rand.NewPCG(3, 4))
	batches = new(load.Histogram)
	batch := make([]chatroom.Event, 1000)
	count := size(e, 200, 10)
	at := d.seq(d.rooms-1, d.perRoom-1)
	var rooms [200]int
	for i := range rooms {
		rooms[i] = random.IntN(d.rooms)
	}
	begin := time.Now()
	for n := range count {
		for i := range batch {
			at++
			k := d.perRoom + n*len(batch) + i
			batch[i] = datasetEvent(datasetRoom(rooms[i%len(rooms)]), at, k)
		}
		started := time.Now()
		if _, err := db.Append(ctx, batch); err != nil {
			return 0, nil, err
		}
		batches.Record(int64(time.Since(started)))
	}
	return float64(count*len(batch)) / time.Since(begin).Seconds(), batches, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
