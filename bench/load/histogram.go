package load

import (
	"math/bits"
	"time"
)

// subBits gives 64 linear buckets per power of two: a quantile is off by 1.6 % at most.
const subBits = 6

// Histogram counts durations with a fixed relative error, from 1 ns to hours,
// in 30 KB. The zero value is ready. It is for one goroutine.
type Histogram struct {
	counts [(64 - subBits + 1) << subBits]uint64
	n      uint64
	max    int64
}

// Record counts one duration of d nanoseconds; a negative one counts as zero.
func (h *Histogram) Record(d int64) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.n++
	h.max = max(h.max, d)
}

// Count is the number of durations recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the longest duration recorded, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile is the duration that a share of q (0 to 1) did not exceed. Zero when
// nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.n)), h.n-1)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen > rank {
			return time.Duration(min(upper(i), h.max))
		}
	}
	return h.Max()
}

// Add counts everything that o counted.
func (h *Histogram) Add(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// bucket is linear up to 1<<subBits and logarithmic with 1<<subBits steps per
// power of two after that.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// upper is the largest value that falls into bucket i.
func upper(i int) int64 {
	shift := max(i>>subBits-1, 0)
	return int64(i-shift<<subBits+1)<<shift - 1
}
