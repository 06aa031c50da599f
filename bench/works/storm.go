//go:build linux

package works

import (
	"context"
	"fmt"
	"time"

	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
)

type stormResult struct {
	load.StormResult
	reads float64 // of the store; negative without one
}

// storm is work g: everybody's connection drops, everybody comes back.
func storm(ctx context.Context, e *Env) (*report.Section, error) {
	members, missed := size(e, 5000, 500), 10
	s := &report.Section{
		ID: "g", Title: "Storm",
		About: fmt.Sprintf("%s members lose their connections at once and come back as fast as they can connect. Meanwhile %d messages were said in each room. "+
			"Live means that all are joined and have what they missed. Only chatroom resumes: the peers accept connections and forget the messages.",
			thousands(int64(members)), missed),
	}
	for _, rooms := range []int{1, 100} {
		results, notes, err := eachServer(ctx, e, e.Rounds, nil, func(ctx context.Context, p *child.Process, server peers.Server) (stormResult, error) {
			return measureStorm(ctx, e, p, server, members, rooms, missed)
		})
		if err != nil {
			return nil, err
		}
		s.Notes = append(s.Notes, notes...)
		t := report.Table{
			Caption: fmt.Sprintf("%s members, rooms: %d", thousands(int64(members)), rooms),
			Columns: []string{"server", "all live after", "server CPU", "resumed without a gap", "store reads", "others' cores"},
		}
		for _, server := range e.Servers {
			if rs := results[server.Name]; len(rs) > 0 {
				t.Rows = append(t.Rows, stormRow(server.Name, rs))
			}
		}
		s.Tables = append(s.Tables, t)
		if rs := results[ours]; len(rs) > 0 {
			live := median(rs, func(r stormResult) time.Duration { return r.Live })
			reads := median(rs, func(r stormResult) float64 { return r.reads })
			s.Targets = append(s.Targets,
				report.Target{Claim: fmt.Sprintf("all live in ≤ 2 s (rooms: %d)", rooms), Measured: millis(live.Seconds()), Met: live <= 2*time.Second},
				report.Target{Claim: fmt.Sprintf("≤ 1 store read per room (rooms: %d)", rooms), Measured: fmt.Sprint(reads), Met: reads <= float64(rooms)})
		}
	}
	return s, nil
}

func stormRow(name string, rs []stormResult) []string {
	live := median(rs, func(r stormResult) time.Duration { return r.Live })
	cpu := median(rs, func(r stormResult) time.Duration { return r.Server })
	resumed, reads := "–", "–"
	if name == ours {
		resumed = thousands(int64(median(rs, func(r stormResult) int { return r.Resumed })))
		reads = fmt.Sprint(median(rs, func(r stormResult) float64 { return r.reads }))
	}
	others := median(rs, func(r stormResult) float64 { return max(r.Others.Seconds()/r.Live.Seconds(), 0) })
	return []string{name, millis(live.Seconds()), millis(cpu.Seconds()), resumed, reads, fmt.Sprintf("%.2f", others)}
}

func measureStorm(ctx context.Context, e *Env, p *child.Process, server peers.Server, members, rooms, missed int) (stormResult, error) {
	swarm, err := connect(ctx, p, server, members, rooms)
	if err != nil {
		return stormResult{}, err
	}
	defer swarm.Close()
	speakers, err := connect(ctx, p, server, rooms, rooms)
	if err != nil {
		return stormResult{}, err
	}
	defer speakers.Close()
	before, err := p.Stats(ctx)
	if err != nil {
		return stormResult{}, err
	}
	r, err := swarm.RunStorm(ctx, speakers, missed)
	if err != nil {
		return stormResult{}, err
	}
	after, err := p.Stats(ctx)
	if err != nil {
		return stormResult{}, err
	}
	result := stormResult{r, after["reads"] - before["reads"]}
	e.logf("  %-17s rooms: %d, all live after %s, %d resumed, %v store reads", server.Name, rooms, millis(r.Live.Seconds()), r.Resumed, result.reads)
	return result, nil
}
