package journal_test

import (
	"fmt"
	"testing"

	"github.com/chatroom-go/chatroom/internal/journal"
)

// BenchmarkAppend waits for the real disk; it trims as a store that keeps up does.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d records of 300 bytes", n), func(b *testing.B) {
			j := open(b, b.TempDir(), journal.Options{})
			records := make([][]byte, n)
			for i := range records {
				records[i] = make([]byte, 300)
			}
			b.SetBytes(int64(n) * 300)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Append(records); err != nil {
					b.Fatal(err)
				}
				if err := j.Trim(j.Last()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkCatchUp opens a journal of 100,000 records of 300 bytes and reads them as
// the writer does when the store is back: 1,000 at a time.
func BenchmarkCatchUp(b *testing.B) {
	dir := b.TempDir()
	j := open(b, dir, journal.Options{})
	records := make([][]byte, 1000)
	for i := range records {
		records[i] = make([]byte, 300)
	}
	for range 100 {
		if _, err := j.Append(records); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(100_000 * 300)
	for b.Loop() {
		j.Close()
		j = open(b, dir, journal.Options{})
		next := uint64(1)
		for next <= j.Last() {
			if err := j.Read(next, 1000, 4<<20, func(i uint64, _ []byte) error { next = i + 1; return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
}
