//go:build linux

package works

import (
	"context"
	"fmt"
	"time"

	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
)

type idleResult struct {
	total, grown float64 // bytes per connection: the process's RSS, and what it grew by
	heap         float64 // bytes per connection of Go objects and stacks, grown
	goroutines   float64 // per connection
	cpu          float64 // cores while idle
	pings        uint64
	others       float64
}

// idle is work d: many members who say nothing.
func idle(ctx context.Context, e *Env) (*report.Section, error) {
	members := size(e, 15_000, 1000)
	results, notes, err := eachServer(ctx, e, 1, nil, func(ctx context.Context, p *child.Process, server peers.Server) (idleResult, error) {
		return measureIdle(ctx, e, p, server, members)
	})
	if err != nil {
		return nil, err
	}
	t := report.Table{Columns: []string{"server", "RSS/connection", "growth/connection", "Go heap and stacks", "goroutines/connection",
		"idle CPU", "heartbeats answered", "others' cores"}}
	c := report.Chart{Title: "Memory per joined connection", Unit: "RSS / connections, less is better"}
	for _, server := range e.Servers {
		if len(results[server.Name]) == 0 {
			continue
		}
		r := results[server.Name][0]
		t.Rows = append(t.Rows, []string{server.Name, kilobytes(r.total), kilobytes(r.grown), kilobytes(r.heap), fmt.Sprintf("%.2f", r.goroutines),
			fmt.Sprintf("%.2f %%", r.cpu*100), thousands(int64(r.pings)), fmt.Sprintf("%.2f", r.others)})
		c.Bars = append(c.Bars, report.Bar{Label: server.Name, Value: r.total, Text: kilobytes(r.total), Ours: server.Name == ours})
	}
	s := &report.Section{
		ID: "d", Title: "Idle",
		About: fmt.Sprintf("%s members join one room and say nothing. Memory after a forced collection; CPU over %v of heartbeats. "+
			"The kernel's socket buffers are in neither.", thousands(int64(members)), idleWindow(e)),
		Tables: []report.Table{t}, Charts: []report.Chart{c}, Notes: notes,
	}
	if rs := results[ours]; len(rs) > 0 {
		own := rs[0]
		s.Targets = []report.Target{
			{Claim: "≤ 10 KB per joined connection (stretch 8)", Measured: kilobytes(own.total), Met: own.total <= 10_000},
			{Claim: "≤ 1 goroutine per connection", Measured: fmt.Sprintf("%.2f", own.goroutines), Met: own.goroutines <= 1.01},
			{Claim: "idle CPU of all connections ≤ 1 % of a core", Measured: fmt.Sprintf("%.2f %%", own.cpu*100), Met: own.cpu <= 0.01},
		}
	}
	return s, nil
}

// idleWindow is longer than the default heartbeat of 25 s, so that each
// connection has its own within it.
func idleWindow(e *Env) time.Duration { return size(e, 30*time.Second, 300*time.Millisecond) }

func measureIdle(ctx context.Context, e *Env, p *child.Process, server peers.Server, members int) (idleResult, error) {
	before, err := p.Memory(ctx)
	if err != nil {
		return idleResult{}, err
	}
	swarm, err := connect(ctx, p, server, members, 1)
	if err != nil {
		return idleResult{}, err
	}
	defer swarm.Close()
	// What joining leaves behind, such as announcements of who is here, is over by then.
	if _, err := swarm.RunIdle(ctx, size(e, 3*time.Second, 100*time.Millisecond), 0); err != nil {
		return idleResult{}, err
	}
	after, err := p.Memory(ctx)
	if err != nil {
		return idleResult{}, err
	}
	run, err := swarm.RunIdle(ctx, time.Second, idleWindow(e))
	if err != nil {
		return idleResult{}, err
	}
	n := float64(members)
	r := idleResult{
		total: float64(after.RSS) / n, grown: float64(after.RSS-before.RSS) / n,
		heap:       float64(after.Heap+after.Stacks-before.Heap-before.Stacks) / n,
		goroutines: float64(after.Goroutines-before.Goroutines) / n,
		cpu:        run.Server.Seconds() / run.Elapsed.Seconds(), pings: run.Acks, others: run.Disturbance(),
	}
	e.logf("  %-17s %s per connection, %.2f goroutines, idle CPU %.2f %%, others' cores %.2f",
		server.Name, kilobytes(r.total), r.goroutines, r.cpu*100, r.others)
	return r, nil
}
