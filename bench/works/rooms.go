//go:build linux

package works

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
)

const (
	roomCount   = 100
	roomMembers = 50
	// sustained is the p99 up to which a server counts as keeping up.
	sustained = 100 * time.Millisecond
)

type roomsResult struct {
	p50, p99, p999, cpu, own, others float64
	missing                          int64
}

// rooms is work c: many rooms, everyone talks, whatever the server does.
func rooms(ctx context.Context, e *Env) (*report.Section, error) {
	weakest, rate, err := weakestPeer(ctx, e)
	if err != nil {
		return nil, err
	}
	s := &report.Section{
		ID: "c", Title: "Rooms",
		About: fmt.Sprintf("%d rooms of %d. Everyone talks at random times, texts of %d bytes, and nobody waits for the server: latency counts from the moment a message was due. "+
			"The weakest peer, %s, sustains %s messages/s (%s deliveries/s) with a p99 below %v; the rates are parts of that.",
			roomCount, roomMembers, textSize, weakest, perSecond(rate), perSecond(rate*roomMembers), sustained),
	}
	for _, percent := range size(e, []int{30, 60, 90}, []int{60}) {
		if err := roomsAt(ctx, e, s, percent, rate*float64(percent)/100); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// roomsAt adds what all servers do at one rate.
func roomsAt(ctx context.Context, e *Env, s *report.Section, percent int, rate float64) error {
	results, notes, err := eachServer(ctx, e, e.Rounds, []string{"-rooms"}, func(ctx context.Context, p *child.Process, server peers.Server) (roomsResult, error) {
		r, err := talkInRooms(ctx, e, p, server, rate, size(e, 5*time.Second, 300*time.Millisecond))
		if err != nil {
			return roomsResult{}, err
		}
		got := roomsResult{
			p50: r.Latency.Quantile(0.5).Seconds(), p99: r.Latency.Quantile(0.99).Seconds(), p999: r.Latency.Quantile(0.999).Seconds(),
			cpu: r.CPU().Seconds(), own: r.OwnShare(), others: r.Disturbance(), missing: r.Missing,
		}
		e.logf("  %d %% %-17s p50 %s, p99 %s, server CPU %s per delivery, others' cores %.2f", percent, server.Name, millis(got.p50), millis(got.p99), micros(got.cpu), got.others)
		return got, nil
	})
	if err != nil {
		return err
	}
	s.Notes = append(s.Notes, notes...)
	t := report.Table{
		Caption: fmt.Sprintf("At %d %%, %s messages/s", percent, perSecond(rate)),
		Columns: []string{"server", "p50", "p99", "p99.9", "server CPU/delivery", "never delivered", "load's cores", "others'"},
	}
	c := report.Chart{Title: fmt.Sprintf("p99 of delivery at %d %%", percent), Unit: "less is better"}
	negated := map[string]float64{}
	for _, server := range e.Servers {
		rs := results[server.Name]
		if len(rs) == 0 {
			continue
		}
		of := func(field func(roomsResult) float64) float64 { return median(rs, field) }
		p99 := of(func(r roomsResult) float64 { return r.p99 })
		negated[server.Name] = -p99
		t.Rows = append(t.Rows, []string{server.Name, millis(of(func(r roomsResult) float64 { return r.p50 })), millis(p99),
			millis(of(func(r roomsResult) float64 { return r.p999 })), micros(of(func(r roomsResult) float64 { return r.cpu })),
			thousands(median(rs, func(r roomsResult) int64 { return r.missing })),
			fmt.Sprintf("%.2f", of(func(r roomsResult) float64 { return r.own })), fmt.Sprintf("%.2f", of(func(r roomsResult) float64 { return r.others }))})
		c.Bars = append(c.Bars, report.Bar{Label: server.Name, Value: p99, Text: millis(p99), Ours: server.Name == ours})
	}
	s.Tables, s.Charts = append(s.Tables, t), append(s.Charts, c)
	if name, p99, found := best(negated); found && percent > 30 && len(results[ours]) > 0 {
		own := -negated[ours]
		s.Targets = append(s.Targets, report.Target{
			Claim:    fmt.Sprintf("p99 ≤ half of the best peer's at %d %%", percent),
			Measured: fmt.Sprintf("%s, best peer %s %s", millis(own), name, millis(-p99)), Met: own <= -p99/2,
		})
	}
	return nil
}

func talkInRooms(ctx context.Context, e *Env, p *child.Process, server peers.Server, rate float64, d time.Duration) (*load.Result, error) {
	swarm, err := connect(ctx, p, server, roomCount*size(e, roomMembers, 10), roomCount)
	if err != nil {
		return nil, err
	}
	defer swarm.Close()
	return swarm.RunOpen(ctx, load.Open{Rate: rate, Size: textSize, Warm: size(e, time.Second, 100*time.Millisecond), For: d})
}

// weakestPeer finds the peer that sustains least, and how many messages a second
// that is: a closed loop on every peer says who it is, and a search between
// nothing and that speed says what it keeps up with when nobody waits for it.
func weakestPeer(ctx context.Context, e *Env) (name string, rate float64, err error) {
	closed := load.Closed{Outstanding: roomCount, Size: textSize, Warm: size(e, time.Second, 100*time.Millisecond), For: size(e, 2*time.Second, 200*time.Millisecond)}
	for _, server := range e.Servers {
		if !isPeer(server.Name) {
			continue
		}
		sent, err := withServer(ctx, e, server.Name, []string{"-rooms"}, func(ctx context.Context, p *child.Process) (float64, error) {
			swarm, err := connect(ctx, p, server, roomCount*size(e, roomMembers, 10), roomCount)
			if err != nil {
				return 0, err
			}
			defer swarm.Close()
			r, err := swarm.RunClosed(ctx, closed)
			if err != nil {
				return 0, err
			}
			return float64(r.Sent) / r.Elapsed.Seconds(), nil
		})
		if ctx.Err() != nil {
			return "", 0, ctx.Err()
		}
		if err != nil {
			e.logf("  %-17s fails at full speed: %+v", server.Name, err)
			continue
		}
		e.logf("  %-17s %s messages/s at full speed", server.Name, perSecond(sent))
		if name == "" || sent < rate {
			name, rate = server.Name, sent
		}
	}
	if name == "" {
		return "", 0, fmt.Errorf("no peer to find a rate with")
	}
	rate, err = searchRate(ctx, e, name, rate)
	return name, rate, err
}

// searchRate halves the distance to the highest sustained rate five times, and
// more often while it has not found any.
func searchRate(ctx context.Context, e *Env, name string, high float64) (float64, error) {
	server := e.Servers[slices.IndexFunc(e.Servers, func(s peers.Server) bool { return s.Name == name })]
	low := 0.0
	for i := 0; i < size(e, 5, 2) || low == 0 && i < 10; i++ {
		middle := (low + high) / 2
		p99, err := withServer(ctx, e, name, []string{"-rooms"}, func(ctx context.Context, p *child.Process) (time.Duration, error) {
			r, err := talkInRooms(ctx, e, p, server, middle, size(e, 2*time.Second, 200*time.Millisecond))
			if err != nil {
				return 0, err
			}
			if r.Missing > 0 {
				return time.Hour, nil
			}
			return r.Latency.Quantile(0.99), nil
		})
		if err != nil {
			return 0, err
		}
		e.logf("  search: %s at %s messages/s has a p99 of %s", name, perSecond(middle), millis(p99.Seconds()))
		if p99 <= sustained {
			low = middle
		} else {
			high = middle
		}
	}
	if low == 0 {
		return 0, fmt.Errorf("%s sustains nothing below %s messages/s", name, perSecond(high))
	}
	return low, nil
}
