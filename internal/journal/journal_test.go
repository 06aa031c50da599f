package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/chatroom-go/chatroom/internal/journal"
)

// small makes many segments out of few records.
var small = journal.Options{MaxBytes: 64 << 10, SegmentBytes: 200}

func open(t testing.TB, dir string, opts journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// record is what the tests append at an index: of different lengths, 0 among them.
func record(i uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d.", i), int(i%7))
}

// add appends groups of n records each.
func add(t testing.TB, j *journal.Journal, groups, n int) {
	t.Helper()
	for range groups {
		first := j.Last() + 1
		var records [][]byte
		for i := range n {
			records = append(records, record(first+uint64(i)))
		}
		if got, err := j.Append(records); err != nil || got != first {
			t.Fatalf("Append = %d, %v; want %d", got, err, first)
		}
	}
}

// verify checks that the journal holds records first to last as record made them.
func verify(t testing.TB, j *journal.Journal, first, last uint64) {
	t.Helper()
	if j.First() != first || j.Last() != last {
		t.Fatalf("First, Last = %d, %d; want %d, %d", j.First(), j.Last(), first, last)
	}
	next := first
	err := j.Read(0, 0, 0, func(i uint64, r []byte) error {
		if i != next || !bytes.Equal(r, record(i)) {
			return fmt.Errorf("record %d is %q; want record %d", i, r, next)
		}
		next++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if next != last+1 {
		t.Fatalf("Read ended before record %d; want %d to %d", next, first, last)
	}
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		t.Fatal(err)
	}
	return names // sorted
}

func TestAppendedRecordsComeBackInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := open(t, dir, small)
	verify(t, j, 1, 0)
	add(t, j, 20, 3)
	verify(t, j, 1, 60)
	if n := len(segments(t, dir)); n < 5 {
		t.Fatalf("%d segments; the test needs more", n)
	}
	j.Close()
	j = open(t, dir, small)
	verify(t, j, 1, 60)
	add(t, j, 5, 1)
	verify(t, j, 1, 65)
}

func TestAppendOfNothingChangesNothing(t *testing.T) {
	j := open(t, t.TempDir(), small)
	add(t, j, 1, 3)
	before := j.Bytes()
	if first, err := j.Append(nil); first != 4 || err != nil {
		t.Fatalf("Append(nil) = %d, %v; want 4", first, err)
	}
	if j.Bytes() != before || j.Last() != 3 {
		t.Fatalf("Bytes %d, Last %d; want %d, 3", j.Bytes(), j.Last(), before)
	}
}

func TestReadStopsAtItsLimits(t *testing.T) {
	j := open(t, t.TempDir(), small)
	ten := make([]byte, 10)
	for range 30 {
		if _, err := j.Append([][]byte{ten, ten}); err != nil {
			t.Fatal(err)
		}
	}
	enough := errors.New("enough")
	for _, c := range []struct {
		from          uint64
		max, maxBytes int
		stopAt        uint64
		want          []uint64
	}{
		{from: 1, max: 3, want: []uint64{1, 2, 3}},
		{from: 31, max: 2, want: []uint64{31, 32}},
		{from: 58, want: []uint64{58, 59, 60}},
		{from: 10, maxBytes: 25, want: []uint64{10, 11}},
		{from: 10, maxBytes: 20, want: []uint64{10, 11}},
		{from: 10, maxBytes: 1, want: []uint64{10}},
		{from: 61},
		{from: 1 << 60},
		{from: 5, stopAt: 7, want: []uint64{5, 6, 7}},
	} {
		var got []uint64
		err := j.Read(c.from, c.max, c.maxBytes, func(i uint64, _ []byte) error {
			got = append(got, i)
			if i == c.stopAt {
				return enough
			}
			return nil
		})
		if c.stopAt == 0 && err != nil || c.stopAt != 0 && err != enough || !slices.Equal(got, c.want) {
			t.Errorf("Read(%d, %d, %d) = %v, %v; want %v", c.from, c.max, c.maxBytes, got, err, c.want)
		}
	}
}

func TestTrimRemovesWholeSegments(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	add(t, j, 30, 3)
	for _, upTo := range []uint64{1, 2, 40, 40, 7, 89, 90} {
		before := j.First()
		if err := j.Trim(upTo); err != nil {
			t.Fatal(err)
		}
		verify(t, j, max(before, upTo+1), 90)
	}
	if n := len(segments(t, dir)); n != 1 {
		t.Errorf("%d segments are left; want the last one", n)
	}
	if err := j.Trim(91); err == nil {
		t.Error("trimmed records that are still to come")
	}
	add(t, j, 10, 3)
	verify(t, j, 91, 120)
}

func TestCloseRemembersWhatWasTrimmed(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{})
	add(t, j, 10, 10)
	for _, upTo := range []uint64{37, 80, 100} {
		if err := j.Trim(upTo); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, dir, journal.Options{})
		verify(t, j, upTo+1, 100)
	}
	add(t, j, 1, 1)
	verify(t, j, 101, 101)
}

func TestCrashBringsBackABoundedNumberOfTrimmedRecords(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	add(t, j, 30, 3)
	if err := j.Trim(60); err != nil {
		t.Fatal(err)
	}
	add(t, j, 1, 1) // notes 60
	if err := j.Trim(70); err != nil {
		t.Fatal(err)
	}
	j.Kill()
	j = open(t, dir, small)
	if j.First() < 61 || j.First() > 71 {
		t.Errorf("First = %d; want 61 to 71", j.First())
	}
	verify(t, j, j.First(), 91)
}

func TestReopeningDoesNotPileUpFiles(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	add(t, j, 1, 3)
	for i := range 20 {
		if i%2 == 0 {
			j.Kill()
		} else {
			j.Close()
		}
		j = open(t, dir, small)
		verify(t, j, 1, 3)
	}
	if n := len(segments(t, dir)); n > 2 {
		t.Errorf("%d segments for 3 records", n)
	}
}

func TestFullJournalRefusesBeforeItWrites(t *testing.T) {
	dir := t.TempDir()
	opts := journal.Options{MaxBytes: 4 << 10, SegmentBytes: 1 << 20}
	j := open(t, dir, opts)
	hundred := [][]byte{make([]byte, 100)}
	fill := func() {
		t.Helper()
		for range 1000 {
			last := j.Last()
			_, err := j.Append(hundred)
			if err == nil {
				continue
			}
			if !errors.Is(err, journal.ErrFull) || j.Last() != last {
				t.Fatalf("Append: %v, Last %d; want ErrFull and %d", err, j.Last(), last)
			}
			return
		}
		t.Fatal("never full")
	}
	for range 5 { // the space comes back each time
		fill()
		if held := j.Last() - j.First() + 1; held < 20 {
			t.Errorf("full with %d records of 100 bytes in 4 KiB", held)
		}
		if used := diskUse(t, dir); used > opts.MaxBytes || used != j.Bytes() {
			t.Errorf("the files take %d bytes, Bytes is %d, MaxBytes %d", used, j.Bytes(), opts.MaxBytes)
		}
		j.Close()
		j = open(t, dir, opts)
		if used := diskUse(t, dir); used > opts.MaxBytes || used != j.Bytes() {
			t.Errorf("after Open the files take %d bytes, Bytes is %d, MaxBytes %d", used, j.Bytes(), opts.MaxBytes)
		}
		if err := j.Trim(j.Last()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Append([][]byte{make([]byte, 4<<10)}); !errors.Is(err, journal.ErrFull) {
		t.Errorf("a record that never fits: %v; want ErrFull", err)
	}
	fill()
	if err := j.Trim((j.First() + j.Last()) / 2); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(hundred); err != nil {
		t.Errorf("after half was trimmed: %+v", err)
	}
}

func diskUse(t testing.TB, dir string) (n int64) {
	t.Helper()
	for _, name := range segments(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	add(t, j, 1, 1)
	if _, err := journal.Open(dir, small); !errors.Is(err, journal.ErrLocked) {
		t.Fatalf("second Open: %v; want ErrLocked", err)
	}
	add(t, j, 1, 1)
	j.Close()
	verify(t, open(t, dir, small), 1, 2)
}

func TestOpenChecksItsArguments(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir  string
		opts journal.Options
	}{
		{dir, journal.Options{MaxBytes: 1023}},
		{dir, journal.Options{MaxBytes: -1}},
		{dir, journal.Options{SegmentBytes: -1}},
		{plain, journal.Options{}},
		{filepath.Join(dir, "no", "parent"), journal.Options{}},
		{"", journal.Options{}},
	} {
		if j, err := journal.Open(c.dir, c.opts); err == nil {
			j.Close()
			t.Errorf("Open(%q, %+v) succeeded", c.dir, c.opts)
		}
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := filepath.Join(t.TempDir(), "journal")
	add(t, open(t, dir, small), 10, 3)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestClosedJournalAnswersSo(t *testing.T) {
	j := open(t, t.TempDir(), small)
	add(t, j, 1, 1)
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := j.Append([][]byte{nil})
	for what, err := range map[string]error{
		"Append": err,
		"Trim":   j.Trim(1),
		"Read":   j.Read(1, 0, 0, func(uint64, []byte) error { return nil }),
	} {
		if !errors.Is(err, journal.ErrClosed) {
			t.Errorf("%s after Close: %+v", what, err)
		}
	}
}

func TestReadAndTrimBesideAppend(t *testing.T) {
	j := open(t, t.TempDir(), journal.Options{MaxBytes: 1 << 20, SegmentBytes: 2000})
	const groups, size = 300, 5
	var wg sync.WaitGroup
	appended := make(chan struct{}, groups)
	wg.Go(func() {
		defer close(appended)
		for range groups {
			add(t, j, 1, size)
			appended <- struct{}{}
		}
	})
	next := uint64(1)
	read := func() {
		err := j.Read(next, 7, 0, func(i uint64, r []byte) error {
			if i != next || !bytes.Equal(r, record(i)) {
				return fmt.Errorf("record %d is %q; want record %d", i, r, next)
			}
			next++
			if i%50 == 0 {
				return j.Trim(i - 20) // what the reader holds stays
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if j.Bytes() < 0 || j.First() > j.Last()+1 {
			t.Errorf("Bytes %d, First %d, Last %d", j.Bytes(), j.First(), j.Last())
		}
	}
	for range appended {
		read()
	}
	wg.Wait()
	for next <= j.Last() && !t.Failed() {
		read()
	}
	if next != groups*size+1 {
		t.Errorf("read up to %d; want %d", next-1, groups*size)
	}
}
