//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Result is what one run measured, within its measured window.
type Result struct {
	Sent       uint64 // messages sent
	Deliveries uint64 // messages that reached a member
	Acks       uint64
	Reads      uint64 // read(2) calls that brought something: fewer than the server's writes
	Elapsed    time.Duration
	Server     time.Duration // processor time of the server
	User       time.Duration // the part of it in user mode, to 10 ms
	Own        time.Duration // processor time of the load itself
	Others     time.Duration // processor time of everything else on the machine, to 10 ms
	Missing    int64         // deliveries that never came, of the whole run
	Unacked    int64         // acknowledgements that never came
	Latency    Histogram     // from sending to each member
	Last       Histogram     // from sending to the last member, in a closed loop
	Ack        Histogram     // from sending to the acknowledgement
}

// Rate is deliveries per second.
func (r *Result) Rate() float64 { return float64(r.Deliveries) / r.Elapsed.Seconds() }

// CPU is the server's processor time per delivery.
func (r *Result) CPU() time.Duration {
	return time.Duration(float64(r.Server) / float64(max(r.Deliveries, 1)))
}

// OwnShare is how much of one core the load itself took.
func (r *Result) OwnShare() float64 { return r.Own.Seconds() / r.Elapsed.Seconds() }

// Disturbance is how many cores something else kept busy.
func (r *Result) Disturbance() float64 { return max(r.Others.Seconds()/r.Elapsed.Seconds(), 0) }

// drainTime is how long a run waits for what is still under way at its end.
const drainTime = 10 * time.Second

// Closed is a closed loop: a fixed number of messages is always under way.
type Closed struct {
	Outstanding int           // senders, spread over the members, each with one message under way
	OnAck       bool          // the next message follows the ack, not the last delivery
	Size        int           // bytes of text
	Warm, For   time.Duration // before and within the measured window
}

// flight is one sender's message under way.
type flight struct {
	sender int
	number uint32 // its lower 16 bits are the index of the flight, the others count and wrap
	left   int    // members that have not had it
	sent   uint64 // messages so far
}

const flightMask = 1<<16 - 1

// closedRun is the state of a running closed loop.
type closedRun struct {
	s       *Swarm
	c       Closed
	res     *Result
	flights []flight
	busy    int // flights under way
	stop    bool
	sent    uint64
	got     uint64
	acks    uint64
	err     error
}

// RunClosed runs a closed loop. An error means that a message was lost, given
// twice or refused, or a connection was: nothing measured would mean much then.
func (s *Swarm) RunClosed(ctx context.Context, c Closed) (*Result, error) {
	if c.Outstanding < 1 || c.Outstanding > min(len(s.conns), flightMask+1) {
		return nil, fmt.Errorf("load: %d outstanding with %d members", c.Outstanding, len(s.conns))
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	defer s.reset()
	run := &closedRun{s: s, c: c, res: new(Result), flights: make([]flight, c.Outstanding)}
	s.deliver, s.acked = run.delivered, run.acked
	for i := range run.flights {
		run.flights[i] = flight{sender: i * len(s.conns) / c.Outstanding, number: uint32(i)}
		run.next(&run.flights[i])
	}
	w := window{s: s}
	begin := time.Now()
	for !run.stop || run.busy > 0 || s.cfg.Protocol.Acks && run.acks < run.sent {
		if err := errors.Join(s.poll(100*time.Millisecond), run.err, s.fault, ctx.Err()); err != nil {
			return nil, err
		}
		switch t := time.Since(begin); {
		case t > c.Warm+c.For+drainTime:
			return nil, fmt.Errorf("load: %d messages were not delivered to all within %v, %d of %d acknowledged",
				run.busy, drainTime, run.acks, run.sent)
		case t >= c.Warm+c.For && !run.stop:
			run.res = w.end()
			run.stop = true
		case t >= c.Warm && w.res == nil:
			run.res = w.begin()
		}
	}
	return w.res, run.checkCounts()
}

// next sends the flight's next message.
func (r *closedRun) next(f *flight) {
	f.number += flightMask + 1
	f.left = r.s.sizes[r.s.conns[f.sender].room]
	if err := r.s.send(f.sender, time.Now().UnixNano(), f.number, r.c.Size); err != nil {
		r.err = errors.Join(r.err, err)
		return
	}
	r.busy++
	f.sent++
	r.sent++
	r.res.Sent++
}

// landed ends a flight and starts the next.
func (r *closedRun) landed(f *flight) {
	r.busy--
	if !r.stop {
		r.next(f)
	}
}

func (r *closedRun) delivered(c *conn, sent int64, number uint32) {
	r.res.Latency.Record(r.s.now - sent)
	r.res.Deliveries++
	r.got++
	if r.c.OnAck {
		return
	}
	f := &r.flights[number&flightMask]
	if f.number != number {
		r.err = fmt.Errorf("load: message %#x came again, its sender is at %#x", number, f.number)
		return
	}
	if f.left--; f.left == 0 {
		r.res.Last.Record(r.s.now - sent)
		r.landed(f)
	}
}

func (r *closedRun) acked(sent int64, number uint32) {
	r.res.Ack.Record(r.s.now - sent)
	r.res.Acks++
	r.acks++
	if f := &r.flights[number&flightMask]; r.c.OnAck && f.number == number {
		r.landed(f)
	}
}

// checkCounts holds the server to exactly one delivery per message and member.
func (r *closedRun) checkCounts() error {
	if r.c.OnAck {
		return nil // deliveries may still be under way, and an echo has none
	}
	var want uint64
	for _, f := range r.flights {
		want += f.sent * uint64(r.s.sizes[r.s.conns[f.sender].room])
	}
	if r.got != want {
		return fmt.Errorf("load: %d deliveries, expected %d", r.got, want)
	}
	return nil
}

// window is the measured part of a run. What comes before and after it is
// counted into results that nobody keeps.
type window struct {
	s     *Swarm
	res   *Result
	start time.Time
	used  cpuTimes
	reads uint64
}

type cpuTimes struct {
	server, user, own, machine time.Duration
}

func readTimes(pid int) cpuTimes {
	return cpuTimes{CPU(pid), userCPU(pid), OwnCPU(), machineCPU()}
}

// begin returns the result to count into from now on.
func (w *window) begin() *Result {
	w.res, w.reads, w.used, w.start = new(Result), w.s.reads, readTimes(w.s.cfg.PID), time.Now()
	return w.res
}

// end completes the result and returns another one for what is still to come.
func (w *window) end() *Result {
	now := readTimes(w.s.cfg.PID)
	r := w.res
	r.Elapsed, r.Reads = time.Since(w.start), w.s.reads-w.reads
	r.Server, r.User, r.Own = now.server-w.used.server, now.user-w.used.user, now.own-w.used.own
	r.Others = now.machine - w.used.machine - r.Server - r.Own
	return new(Result)
}

// Open is an open loop: messages come when they come, whatever the server does,
// from random members at random (Poisson) times. Latency counts from the moment
// a message was due, so a server that stalls is charged for the queue it causes.
type Open struct {
	Rate      float64 // messages per second, all members together
	Size      int
	Warm, For time.Duration
}

// RunOpen runs an open loop. The same seed makes the same schedule for every
// server. Lost deliveries are counted, not an error: servers may drop under load.
func (s *Swarm) RunOpen(ctx context.Context, o Open) (*Result, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	defer s.reset()
	res := new(Result)
	var want, got, acks, sentAll uint64
	s.deliver = func(_ *conn, sent int64, _ uint32) {
		res.Latency.Record(s.now - sent)
		res.Deliveries++
		got++
	}
	s.acked = func(sent int64, _ uint32) {
		res.Ack.Record(s.now - sent)
		res.Acks++
		acks++
	}
	random := rand.New(rand.NewPCG(1, 2))
	w := window{s: s}
	begin := time.Now()
	due := begin
	end := begin.Add(o.Warm + o.For)
	for time.Now().Before(end) {
		if w.res == nil && time.Since(begin) >= o.Warm {
			res = w.begin()
		}
		for !time.Now().Before(due) {
			i := random.IntN(len(s.conns))
			if s.conns[i].state == ready {
				if err := s.send(i, due.UnixNano(), uint32(sentAll), o.Size); err != nil {
					return nil, err
				}
				sentAll++
				res.Sent++
				if !s.cfg.Protocol.Silent {
					want += uint64(s.sizes[s.conns[i].room])
				}
			}
			due = due.Add(time.Duration(random.ExpFloat64() / o.Rate * float64(time.Second)))
		}
		if err := errors.Join(s.poll(min(time.Until(due), 10*time.Millisecond)), ctx.Err()); err != nil {
			return nil, err
		}
	}
	res = w.end()
	for quiet := time.Now(); (got < want || s.cfg.Protocol.Acks && acks < sentAll) && time.Since(end) < drainTime && time.Since(quiet) < 2*time.Second; {
		before := got + acks
		if err := errors.Join(s.poll(100*time.Millisecond), ctx.Err()); err != nil {
			return nil, err
		}
		if got+acks != before {
			quiet = time.Now()
		}
	}
	if s.cfg.Protocol.Acks {
		w.res.Unacked = int64(sentAll) - int64(acks)
	}
	w.res.Missing = int64(want) - int64(got)
	return w.res, nil
}
