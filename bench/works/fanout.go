//go:build linux

package works

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
)

// burst is work a: one big room, many messages under way.
func burst(ctx context.Context, e *Env) (*report.Section, error) {
	f, err := runFanout(ctx, e, 16)
	if err != nil {
		return nil, err
	}
	s := f.section("a", "Burst", "always 16 messages under way, each from another member")
	s.Charts = []report.Chart{
		f.chart("Deliveries per second", "more is better", func(r fanoutResult) float64 { return r.rate }, perSecond),
		f.chart("Server CPU per delivery", "less is better", func(r fanoutResult) float64 { return r.cpu }, micros),
	}
	if own, ok := f.medians[ours]; ok {
		rates := map[string]float64{}
		for name, r := range f.medians {
			rates[name] = r.rate
		}
		if name, rate, found := best(rates); found {
			s.Notes = append(s.Notes, mergedNote)
			s.Targets = append(s.Targets, report.Target{
				Claim:    "≥ 10 × the best peer's deliveries/s",
				Measured: fmt.Sprintf("%.1f × %s%s", own.rate/rate, name, framed(own.rate, rates)),
				Met:      own.rate >= 10*rate,
			})
		}
		s.Targets = append(s.Targets, report.Target{
			Claim: "server CPU per delivery ≤ 0.6 µs", Measured: micros(own.cpu), Met: own.cpu <= 0.6e-6,
		})
	}
	return s, nil
}

const mergedNote = "gorilla's chat example joins the messages that wait for a client into one WebSocket message, a line each; all others here give every message its own."

// framed compares with the best peer whose messages are WebSocket messages.
func framed(own float64, rates map[string]float64) string {
	rates = maps.Clone(rates)
	delete(rates, "gorilla")
	name, rate, found := best(rates)
	if !found {
		return ""
	}
	return fmt.Sprintf("; %.1f × %s, the best with a WebSocket message per message", own/rate, name)
}

// serial is work b: the same room, one message under way.
func serial(ctx context.Context, e *Env) (*report.Section, error) {
	f, err := runFanout(ctx, e, 1)
	if err != nil {
		return nil, err
	}
	s := f.section("b", "Serial", "one message under way: the next is sent when the last member has the one before")
	s.Charts = []report.Chart{
		f.chart("Last member's latency, median", "less is better", func(r fanoutResult) float64 { return r.last50 }, millis),
		f.chart("Server CPU per delivery", "less is better", func(r fanoutResult) float64 { return r.cpu }, micros),
	}
	own, ok := f.medians[ours]
	if !ok {
		return s, nil
	}
	if raw, ok := f.medians[limit]; ok {
		s.Targets = append(s.Targets, report.Target{
			Claim:    "server CPU per delivery ≤ 1.05 × the raw limit",
			Measured: fmt.Sprintf("%.2f ×", own.cpu/raw.cpu), Met: own.cpu <= 1.05*raw.cpu,
		})
	}
	negated := map[string]float64{}
	for name, r := range f.medians {
		negated[name] = -r.last50
	}
	if name, last, found := best(negated); found {
		s.Targets = append(s.Targets, report.Target{
			Claim:    "last member's median latency ≤ every peer's",
			Measured: fmt.Sprintf("%s, best peer %s %s", millis(own.last50), name, millis(-last)), Met: own.last50 <= -last,
		})
	}
	return s, nil
}

// fanoutResult is what one round of one server came to, in seconds.
type fanoutResult struct {
	rate      float64 // deliveries per second
	cpu, user float64 // server CPU per delivery, and its part in user mode
	cores     float64 // that the server kept busy
	own       float64 // cores that the load kept busy
	others    float64 // cores that something else kept busy
	perRead   float64 // messages that one read of the load brought

	p50, p99, last50, last99 float64
	low, high                float64 // rates of the slowest and the fastest round
}

type fanout struct {
	members int
	order   []string
	medians map[string]fanoutResult
	notes   []string
}

// runFanout measures one room in a closed loop on every server.
func runFanout(ctx context.Context, e *Env, outstanding int) (*fanout, error) {
	f := &fanout{members: size(e, 5000, 500), medians: map[string]fanoutResult{}}
	loop := load.Closed{
		Outstanding: outstanding, Size: textSize,
		Warm: size(e, time.Second, 100*time.Millisecond), For: size(e, 5*time.Second, 300*time.Millisecond),
	}
	results, notes, err := eachServer(ctx, e, e.Rounds, nil, func(ctx context.Context, p *child.Process, server peers.Server) (fanoutResult, error) {
		swarm, err := connect(ctx, p, server, f.members, 1)
		if err != nil {
			return fanoutResult{}, err
		}
		defer swarm.Close()
		r, err := swarm.RunClosed(ctx, loop)
		if err != nil {
			return fanoutResult{}, err
		}
		per := float64(r.Deliveries)
		got := fanoutResult{
			rate: r.Rate(), cpu: r.Server.Seconds() / per, user: r.User.Seconds() / per,
			cores: r.Server.Seconds() / r.Elapsed.Seconds(), own: r.OwnShare(), others: r.Disturbance(), perRead: per / float64(r.Reads),
			p50: r.Latency.Quantile(0.5).Seconds(), p99: r.Latency.Quantile(0.99).Seconds(),
			last50: r.Last.Quantile(0.5).Seconds(), last99: r.Last.Quantile(0.99).Seconds(),
		}
		e.logf("  %-17s %9s deliveries/s, server CPU %s each (user %s), last member %s, %.1f messages per read; cores: server %.2f, load %.2f, others %.2f",
			server.Name, perSecond(got.rate), micros(got.cpu), micros(got.user), millis(got.last50), got.perRead, got.cores, got.own, got.others)
		return got, nil
	})
	if err != nil {
		return nil, err
	}
	f.notes = notes
	for _, server := range e.Servers {
		if rs := results[server.Name]; len(rs) > 0 {
			f.order = append(f.order, server.Name)
			f.medians[server.Name] = medianFanout(rs)
		}
	}
	return f, nil
}

func medianFanout(rs []fanoutResult) fanoutResult {
	of := func(field func(fanoutResult) float64) float64 { return median(rs, field) }
	byRate := func(a, b fanoutResult) int { return cmp.Compare(a.rate, b.rate) }
	return fanoutResult{
		rate:    of(func(r fanoutResult) float64 { return r.rate }),
		cpu:     of(func(r fanoutResult) float64 { return r.cpu }),
		user:    of(func(r fanoutResult) float64 { return r.user }),
		cores:   of(func(r fanoutResult) float64 { return r.cores }),
		own:     of(func(r fanoutResult) float64 { return r.own }),
		perRead: of(func(r fanoutResult) float64 { return r.perRead }),
		others:  of(func(r fanoutResult) float64 { return r.others }),
		p50:     of(func(r fanoutResult) float64 { return r.p50 }),
		p99:     of(func(r fanoutResult) float64 { return r.p99 }),
		last50:  of(func(r fanoutResult) float64 { return r.last50 }),
		last99:  of(func(r fanoutResult) float64 { return r.last99 }),
		low:     slices.MinFunc(rs, byRate).rate,
		high:    slices.MaxFunc(rs, byRate).rate,
	}
}

func (f *fanout) section(id, title, about string) *report.Section {
	t := report.Table{Columns: []string{"server", "deliveries/s", "rounds from–to", "× best peer",
		"server CPU/delivery", "in user mode", "latency p50", "p99", "last member p50", "p99", "messages per read", "cores: server", "load", "others"}}
	rates := map[string]float64{}
	for name, r := range f.medians {
		rates[name] = r.rate
	}
	_, bestRate, found := best(rates)
	for _, name := range f.order {
		r := f.medians[name]
		ratio := "–"
		if found {
			ratio = fmt.Sprintf("%.2f", r.rate/bestRate)
		}
		t.Rows = append(t.Rows, []string{name, perSecond(r.rate), perSecond(r.low) + "–" + perSecond(r.high), ratio, micros(r.cpu), micros(r.user),
			millis(r.p50), millis(r.p99), millis(r.last50), millis(r.last99), fmt.Sprintf("%.1f", r.perRead),
			fmt.Sprintf("%.2f", r.cores), fmt.Sprintf("%.2f", r.own), fmt.Sprintf("%.2f", r.others)})
	}
	return &report.Section{
		ID: id, Title: title,
		About:  fmt.Sprintf("One room of %d members, texts of %d bytes, %s.", f.members, textSize, about),
		Tables: []report.Table{t}, Notes: f.notes,
	}
}

func (f *fanout) chart(title, unit string, value func(fanoutResult) float64, text func(float64) string) report.Chart {
	c := report.Chart{Title: title, Unit: unit}
	for _, name := range f.order {
		v := value(f.medians[name])
		c.Bars = append(c.Bars, report.Bar{Label: name, Value: v, Text: text(v), Ours: name == ours})
	}
	return c
}
