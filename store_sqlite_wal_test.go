package chatroom_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// walLimit allows a copy that the writer outruns and an attempt that fails, on a slow machine, and a few batches.
const walLimit = chatroom.WALRestartPages*4096 + 20<<20

func walSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// write stores megabytes of messages and returns the largest log seen.
func write(t *testing.T, s chatroom.Store, path string, first chatroom.Seq, megabytes int) (largest int64) {
	t.Helper()
	text := strings.Repeat("x", 8<<10)
	for i := range megabytes {
		batch := make([]chatroom.Event, 128)
		for j := range batch {
			batch[j] = said(first+chatroom.Seq(i*len(batch)+j), text)
		}
		appendTo(t, s, batch...)
		largest = max(largest, walSize(t, path))
	}
	return largest
}

func TestSQLiteLogIsBoundedBesideReadersWithoutAPause(t *testing.T) {
	path := newPath(t)
	s := openSQLite(t, path)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 { // one of them is always reading
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := s.Messages(t.Context(), "lobby", chatroom.Page{Limit: 20}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	largest := write(t, s, path, 1, 60)
	close(done)
	readers.Wait()
	if largest > walLimit {
		t.Errorf("the log grew to %d bytes, limit %d", largest, walLimit)
	}
}

func TestSQLiteLogShrinksAfterALongRead(t *testing.T) {
	path := newPath(t)
	s := openSQLite(t, path)
	appendTo(t, s, said(1, "a"))
	reader := foreign(t, path)
	mustExec(t, reader, "BEGIN")
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM message").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if during := write(t, s, path, 10, 44); during < walLimit {
		t.Fatalf("the log only grew to %d bytes: the read did not hold it", during)
	}
	mustExec(t, reader, "COMMIT")
	write(t, s, path, 1_000_000, 20)
	if after := walSize(t, path); after > chatroom.WALKeepBytes+9<<20 {
		t.Errorf("the log is still %d bytes long", after)
	}
}
