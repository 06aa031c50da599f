package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/chatroom-go/chatroom/internal/journal"
)

// FuzzOpen takes what follows a valid header of the first segment; or, when forged is false, a whole file.
func FuzzOpen(f *testing.F) {
	group := journal.ForgedGroup(7, 1, []byte("one"), nil, []byte("three"))
	f.Add(true, []byte{})
	f.Add(true, group)
	f.Add(true, append(group, journal.ForgedGroup(7, 4)...))
	f.Add(true, append(group[:len(group)-3:len(group)-3], journal.ForgedGroup(7, 4, []byte("four"))...))
	f.Add(true, journal.ForgedGroup(7, 2, []byte("two")))
	f.Add(true, journal.ForgedGroupHeader(7, 1, 1<<32-1, 1))
	f.Add(true, append(journal.ForgedGroupHeader(7, 1, 9, 1), 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff, 9))
	f.Add(true, append(journal.ForgedGroupHeader(7, 1, 9, 2), make([]byte, 9)...))
	f.Add(false, journal.ForgedSegment(7, group))
	f.Add(false, []byte("chatjnl1"))
	f.Fuzz(func(t *testing.T, forged bool, content []byte) {
		if forged {
			content = journal.ForgedSegment(7, content)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, onlySegment)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		j, err := journal.OpenOn(dir, journal.Options{}, unsynced{})
		runtime.ReadMemStats(&after)
		// Records and buffers; each record of a group has a slice, too.
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+20*uint64(len(content)) {
			t.Errorf("a file of %d bytes made Open allocate %d", len(content), used)
		}
		if err != nil {
			if !errors.Is(err, journal.ErrCorrupt) {
				t.Errorf("Open: %v; want ErrCorrupt", err)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != string(content) {
				t.Errorf("a damaged file was changed: %+v", err)
			}
			return
		}
		last, n := j.Last(), uint64(0)
		if err := j.Read(0, 0, 0, func(uint64, []byte) error { n++; return nil }); err != nil {
			t.Errorf("Read: %+v", err)
		}
		if held := last + 1 - j.First(); n != held {
			t.Errorf("Read passed %d records of %d", n, held)
		}
		if first, err := j.Append([][]byte{[]byte("more")}); err != nil || first != last+1 {
			t.Errorf("Append = %d, %v; want %d", first, err, last+1)
		}
		j.Kill()
		if j, err = journal.OpenOn(dir, journal.Options{}, unsynced{}); err != nil {
			t.Fatalf("second Open: %+v", err)
		}
		if j.Last() != last+1 {
			t.Errorf("Last is %d after another Open; want %d", j.Last(), last+1)
		}
		j.Kill()
	})
}
