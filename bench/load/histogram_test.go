package load_test

import (
	"testing"
	"time"

	"github.com/chatroom-go/chatroom/bench/load"
)

func TestQuantilesAreWithinTwoPercent(t *testing.T) {
	var h load.Histogram
	const n = 100_000
	for i := 1; i <= n; i++ {
		h.Record(int64(i) * 1000)
	}
	for _, q := range []float64{0.001, 0.5, 0.99, 0.999} {
		want := q * n * 1000
		if got := float64(h.Quantile(q)); got < want*0.98 || got > want*1.02 {
			t.Errorf("quantile %v is %v, want about %v", q, time.Duration(got), time.Duration(want))
		}
	}
	if h.Max() != n*1000 || h.Count() != n {
		t.Errorf("max %v of %d", h.Max(), h.Count())
	}
}

func TestHistogramHoldsExtremes(t *testing.T) {
	for _, v := range []int64{-1, 0, 1, 63, 64, 127, 128, 1<<40 + 12345, 1<<63 - 1} {
		var h load.Histogram
		h.Record(v)
		if got := h.Quantile(0.5); int64(got) != max(v, 0) {
			t.Errorf("only %d recorded, median %d", v, got)
		}
	}
}

func TestAddedHistogramsCountTogether(t *testing.T) {
	var a, b load.Histogram
	a.Record(10)
	b.Record(1000)
	b.Record(2000)
	a.Add(&b)
	if a.Count() != 3 || a.Max() != 2000 || a.Quantile(0.1) != 10 {
		t.Errorf("count %d, max %v, low %v", a.Count(), a.Max(), a.Quantile(0.1))
	}
}
