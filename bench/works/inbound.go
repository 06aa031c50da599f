//go:build linux

package works

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
)

const (
	inboundRooms   = 200
	inboundSenders = 1000
)

// inbound is work e: how fast messages come in and are kept.
func inbound(ctx context.Context, e *Env) (*report.Section, error) {
	s := &report.Section{
		ID: "e", Title: "Inbound",
		About: fmt.Sprintf("e1: host code calls Room.Send from %d goroutines in %d rooms, each waiting for the message to be stored, beside the bare driver inserting the same rows in batches of the same size. "+
			"e2: %d WebSocket members in %d rooms of 5 each send their next message after the ack of the last; beside a bare coder/websocket echo with the same senders.",
			inboundSenders, inboundRooms, inboundSenders, inboundRooms),
	}
	return s, errors.Join(inboundHost(ctx, e, s), inboundSocket(ctx, e, s))
}

type hostResult struct {
	rows, raw, batch, p50, p99 float64
}

// inboundHost is e1.
func inboundHost(ctx context.Context, e *Env, s *report.Section) error {
	var results []hostResult
	for range e.Rounds {
		r, err := measureHost(ctx, e)
		if err != nil {
			return fmt.Errorf("e1: %w", err)
		}
		e.logf("  e1: %s rows/s in batches of %.0f, ack p50 %s; raw %s rows/s", perSecond(r.rows), r.batch, millis(r.p50), perSecond(r.raw))
		results = append(results, r)
	}
	of := func(field func(hostResult) float64) float64 { return median(results, field) }
	rows, raw, batch := of(func(r hostResult) float64 { return r.rows }), of(func(r hostResult) float64 { return r.raw }), of(func(r hostResult) float64 { return r.batch })
	ratio := of(func(r hostResult) float64 { return r.rows / r.raw })
	s.Tables = append(s.Tables, report.Table{
		Caption: "e1, from host code", Columns: []string{"", "rows/s", "rows per commit", "ack p50", "p99"},
		Rows: [][]string{
			{"Room.Send", perSecond(rows), fmt.Sprintf("%.0f", batch), millis(of(func(r hostResult) float64 { return r.p50 })), millis(of(func(r hostResult) float64 { return r.p99 }))},
			{"modernc.org/sqlite alone", perSecond(raw), fmt.Sprintf("%.0f", batch), "–", "–"},
		},
	})
	s.Targets = append(s.Targets, report.Target{
		Claim: "e1 ≥ 80 % of raw modernc.org/sqlite's rows/s", Measured: fmt.Sprintf("%.0f %%", ratio*100), Met: ratio >= 0.8,
	})
	return nil
}

func measureHost(ctx context.Context, e *Env) (r hostResult, err error) {
	if err := e.waitQuiet(ctx); err != nil {
		return r, err
	}
	dir, err := e.runDir()
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	if r, err = sendFromHost(ctx, e, dir); err != nil {
		return r, err
	}
	r.raw, err = insertRaw(ctx, dir, max(int(r.batch+0.5), 1), size(e, 5*time.Second, 500*time.Millisecond))
	return r, err
}

// sendFromHost calls Room.Send from all goroutines until the time is over.
func sendFromHost(ctx context.Context, e *Env, dir string) (r hostResult, err error) {
	w, err := peers.OpenWhole(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	begin := time.Now()
	end := begin.Add(size(e, 5*time.Second, 500*time.Millisecond))
	var mu sync.Mutex
	var all load.Histogram
	var failed error
	var senders sync.WaitGroup
	for i := range inboundSenders {
		senders.Go(func() {
			acks, err := sendUntil(ctx, w.Hub.Room(fmt.Sprintf("r%05d", i%inboundRooms)), i, end)
			mu.Lock()
			defer mu.Unlock()
			all.Add(acks)
			failed = errors.Join(failed, err)
		})
	}
	senders.Wait()
	took := time.Since(begin).Seconds()
	return hostResult{
		rows: float64(all.Count()) / took, batch: float64(all.Count()) / float64(w.Store.Commits.Load()),
		p50: all.Quantile(0.5).Seconds(), p99: all.Quantile(0.99).Seconds(),
	}, failed
}

func sendUntil(ctx context.Context, room *chatroom.Room, i int, end time.Time) (*load.Histogram, error) {
	acks := new(load.Histogram)
	user := userNumber(i)
	for n := 0; time.Now().Before(end); n++ {
		begin := time.Now()
		m := load.Message{Sent: begin.UnixNano(), Number: uint32(n), Size: textSize}
		if _, err := room.Send(ctx, chatroom.Draft{From: user, Key: fmt.Sprintf("k%08x", n), Text: string(m.Text(nil))}); err != nil {
			return acks, err
		}
		acks.Record(int64(time.Since(begin)))
	}
	return acks, nil
}

func userNumber(i int) chatroom.User {
	id := fmt.Sprintf("u%05d", i)
	return chatroom.User{ID: id, Name: id}
}

type socketResult struct {
	rate, cpu, full50, full99, half50, half99, others float64
}

// inboundSocket is e2.
func inboundSocket(ctx context.Context, e *Env, s *report.Section) error {
	whole, found := peers.Find(ours)
	if !found {
		return fmt.Errorf("e2: no server is called %q", ours)
	}
	servers := []peers.Server{whole, peers.Echo}
	results := map[string][]socketResult{}
	for range e.Rounds {
		for _, server := range servers {
			r, err := withServer(ctx, e, server.Name, nil, func(ctx context.Context, p *child.Process) (socketResult, error) {
				return measureSocket(ctx, e, p, server)
			})
			if err != nil {
				return fmt.Errorf("e2: %s: %w", server.Name, err)
			}
			e.logf("  e2: %-11s %s messages/s, server CPU %s each, ack p50 %s p99 %s; at half load p50 %s p99 %s; others' cores %.2f", server.Name, perSecond(r.rate),
				micros(r.cpu), millis(r.full50), millis(r.full99), millis(r.half50), millis(r.half99), r.others)
			results[server.Name] = append(results[server.Name], r)
		}
	}
	t := report.Table{Caption: "e2, over WebSocket", Columns: []string{"server", "messages/s", "server CPU/message", "ack p50, full load", "p99", "ack p50, half load", "p99", "others' cores"}}
	for _, server := range servers {
		of := func(field func(socketResult) float64) float64 { return median(results[server.Name], field) }
		t.Rows = append(t.Rows, []string{server.Name, perSecond(of(func(r socketResult) float64 { return r.rate })), micros(of(func(r socketResult) float64 { return r.cpu })),
			millis(of(func(r socketResult) float64 { return r.full50 })), millis(of(func(r socketResult) float64 { return r.full99 })),
			millis(of(func(r socketResult) float64 { return r.half50 })), millis(of(func(r socketResult) float64 { return r.half99 })),
			fmt.Sprintf("%.2f", of(func(r socketResult) float64 { return r.others }))})
	}
	s.Tables = append(s.Tables, t)
	rate := func(r socketResult) float64 { return r.rate }
	ratio := median(results[ours], rate) / median(results[peers.Echo.Name], rate)
	half := median(results[ours], func(r socketResult) float64 { return r.half99 })
	s.Targets = append(s.Targets,
		report.Target{Claim: "e2 ≥ 50 % of the bare echo's messages/s", Measured: fmt.Sprintf("%.0f %%", ratio*100), Met: ratio >= 0.5},
		report.Target{Claim: "e2 ack p99 ≤ 10 ms at half load", Measured: millis(half), Met: half <= 0.010})
	return nil
}

// measureSocket finds the full rate in a closed loop and then, in an open one,
// what half of it is like.
func measureSocket(ctx context.Context, e *Env, p *child.Process, server peers.Server) (socketResult, error) {
	protocol := echoProtocol
	if server.Name == ours {
		protocol = chatroomProtocol
	}
	swarm, err := load.Connect(ctx, load.Config{Addr: p.Addr, PID: p.PID, Members: inboundSenders, Rooms: inboundRooms, Protocol: protocol})
	if err != nil {
		return socketResult{}, err
	}
	defer swarm.Close()
	warm, d := size(e, time.Second, 100*time.Millisecond), size(e, 5*time.Second, 300*time.Millisecond)
	full, err := swarm.RunClosed(ctx, load.Closed{Outstanding: inboundSenders, OnAck: true, Size: textSize, Warm: warm, For: d})
	if err != nil {
		return socketResult{}, err
	}
	rate := float64(full.Acks) / full.Elapsed.Seconds()
	half, err := swarm.RunOpen(ctx, load.Open{Rate: rate / 2, Size: textSize, Warm: warm, For: d})
	if err != nil {
		return socketResult{}, err
	}
	if half.Missing != 0 || half.Unacked != 0 {
		return socketResult{}, fmt.Errorf("%d deliveries and %d acks never came", half.Missing, half.Unacked)
	}
	return socketResult{
		rate: rate, cpu: full.Server.Seconds() / float64(full.Acks), others: max(full.Disturbance(), half.Disturbance()),
		full50: full.Ack.Quantile(0.5).Seconds(), full99: full.Ack.Quantile(0.99).Seconds(),
		half50: half.Ack.Quantile(0.5).Seconds(), half99: half.Ack.Quantile(0.99).Seconds(),
	}, nil
}
