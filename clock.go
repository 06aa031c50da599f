package chatroom

import "time"

// clock gives seqs. It reads the wall once, at the start, and goes on by the
// monotonic clock, so that a step of the wall in mid-life cannot matter.
type clock struct {
	base  Seq
	start time.Time
}

// clockMargin is how far beyond the store's highest seq a hub begins whose wall
// clock is behind it: the previous life may have given seqs that it never stored.
const clockMargin = Seq(time.Hour / time.Microsecond)

func newClock(wall time.Time, highest Seq) clock {
	base := SeqAt(wall)
	if base <= highest {
		base = highest + clockMargin
	}
	return clock{base: base, start: time.Now()}
}

func (c clock) now() Seq { return c.base + Seq(time.Since(c.start)/time.Microsecond) }

// bucket is a token bucket in eight bytes (the generic cell rate algorithm): the
// time at which it would be full again. golang.org/x/time/rate is ten times that,
// and a connection has three. The owner serialises calls.
type bucket struct{ full time.Duration }

// take takes one token at time now (since any fixed start), or says how long to wait.
func (b *bucket) take(now time.Duration, r Rate) (wait time.Duration, ok bool) {
	each := time.Duration(float64(time.Second) / r.PerSecond)
	full := max(b.full, now)
	if over := full - now - each*time.Duration(r.Burst-1); over > 0 {
		return over, false
	}
	b.full = full + each
	return 0, true
}
