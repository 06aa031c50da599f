package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatroom-go/chatroom/internal/journal"
)

// unsynced is a disk that never waits, for tests that open thousands of journals.
type unsynced struct{ journal.OSDisk }

func (unsynced) SyncDir(string) error { return nil }

func (d unsynced) Create(path string) (journal.File, error) { return noSync(d.OSDisk.Create(path)) }

func (d unsynced) Write(path string) (journal.File, error) { return noSync(d.OSDisk.Write(path)) }

// Rename does not replace a file in one step, which makes some file systems wait for the disk.
func (d unsynced) Rename(from, to string) error {
	if err := d.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return d.OSDisk.Rename(from, to)
}

func noSync(f journal.File, err error) (journal.File, error) {
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

type unsyncedFile struct{ journal.File }

func (unsyncedFile) Sync() error { return nil }

// dirWith makes a directory with these files.
func dirWith(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func filesOf(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, path := range segments(t, dir) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = content
	}
	return files
}

// known appends groups of these sizes to a new journal, which then dies. It returns
// the files and, for each group, the offset in its file where it ends.
func known(t testing.TB, opts journal.Options, groups ...int) (files map[string][]byte, ends []int64) {
	t.Helper()
	dir := t.TempDir()
	j, err := journal.OpenOn(dir, opts, unsynced{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Kill()
	for _, n := range groups {
		add(t, j, 1, n)
		names := segments(t, dir)
		info, err := os.Stat(names[len(names)-1])
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	return filesOf(t, dir), ends
}

const onlySegment = "00000000000000000001.journal"

func TestFileCutAtEveryByteKeepsWholeGroups(t *testing.T) {
	groups := []int{1, 1, 3, 1, 5, 2, 1}
	files, ends := known(t, journal.Options{}, groups...)
	whole := files[onlySegment]
	if len(files) != 1 || int64(len(whole)) != ends[len(ends)-1] {
		t.Fatalf("%d files, %d bytes", len(files), len(whole))
	}
	for cut := range len(whole) + 1 {
		want := uint64(0)
		for i, end := range ends {
			if end <= int64(cut) {
				want += uint64(groups[i])
			}
		}
		dir := dirWith(t, map[string][]byte{onlySegment: whole[:cut]})
		j, err := journal.OpenOn(dir, journal.Options{}, unsynced{})
		if cut < journal.SegmentHeaderSize { // files get their name when the header is durable
			if !errors.Is(err, journal.ErrCorrupt) {
				t.Fatalf("cut at %d: %v; want ErrCorrupt", cut, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %+v", cut, err)
		}
		verify(t, j, 1, want)
		add(t, j, 2, 2)
		verify(t, j, 1, want+4)
		j.Kill()
		if j, err = journal.OpenOn(dir, journal.Options{}, unsynced{}); err != nil {
			t.Fatalf("cut at %d, then appended: %+v", cut, err)
		}
		verify(t, j, 1, want+4)
		j.Kill()
		os.RemoveAll(dir)
	}
}

// TestEveryFlippedBitIsFound also shows where the line is: damage in the last
// group cannot be told from a torn write, unless Close wrote behind it.
func TestEveryFlippedBitIsFound(t *testing.T) {
	groups := []int{2, 1, 3, 1, 2}
	for _, c := range []struct {
		name string
		opts journal.Options
	}{
		{"one segment", journal.Options{}},
		{"many segments", journal.Options{MaxBytes: 1 << 20, SegmentBytes: 120}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, ends := known(t, c.opts, groups...)
			lastFile, lastGroup := "", int64(0)
			for name := range files {
				lastFile = max(lastFile, name)
			}
			if lastGroup = journal.SegmentHeaderSize; len(files) == 1 {
				lastGroup = ends[len(ends)-2]
			}
			dir := dirWith(t, files)
			for name, content := range files {
				for bit := range len(content) * 8 {
					var err error
					if name == lastFile && int64(bit/8) >= lastGroup {
						all := maps.Clone(files)
						all[name] = bytes.Clone(content)
						all[name][bit/8] ^= 1 << (bit % 8)
						err = opensWith(t, dirWith(t, all), c.opts, 7)
					} else {
						err = refuses(dir, c.opts, name, content, bit)
					}
					if err != nil {
						t.Fatalf("%s, bit %d of byte %d: %+v", name, bit%8, bit/8, err)
					}
				}
			}
			if err := opensWith(t, dir, c.opts, 9); err != nil {
				t.Errorf("whole again: %+v", err)
			}
		})
	}
}

// opensWith opens a journal that has to hold records 1 to last.
func opensWith(t *testing.T, dir string, opts journal.Options, last uint64) error {
	defer os.RemoveAll(dir)
	j, err := journal.OpenOn(dir, opts, unsynced{})
	if err != nil {
		return err
	}
	defer j.Kill()
	verify(t, j, 1, last)
	return nil
}

// refuses opens a journal with one bit flipped, which has to be found, and the file named and left as it is.
func refuses(dir string, opts journal.Options, name string, content []byte, bit int) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	damaged := bytes.Clone(content)
	damaged[bit/8] ^= 1 << (bit % 8)
	if _, err := f.WriteAt(damaged, 0); err != nil {
		return err
	}
	if j, err := journal.OpenOn(dir, opts, unsynced{}); err == nil {
		j.Kill()
		return errors.New("not found")
	} else if !errors.Is(err, journal.ErrCorrupt) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "at byte ") {
		return fmt.Errorf("%w; want ErrCorrupt that names the file and the offset", err)
	}
	if now, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(now, damaged) {
		return fmt.Errorf("the file was changed: %w", err)
	}
	_, err = f.WriteAt(content, 0)
	return err
}

func TestBitFlippedAfterCloseIsAlwaysFound(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{})
	add(t, j, 3, 2)
	j.Close()
	content := filesOf(t, dir)[onlySegment]
	mark := len(content) - journal.GroupHeaderSize
	for bit := range mark * 8 {
		if err := refuses(dir, journal.Options{}, onlySegment, content, bit); err != nil {
			t.Fatalf("bit %d of byte %d: %+v", bit%8, bit/8, err)
		}
	}
	verify(t, open(t, dir, journal.Options{}), 1, 6)
}

func TestBitFlippedWhileOpenIsFoundByRead(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{})
	add(t, j, 3, 2)
	f, err := os.OpenFile(filepath.Join(dir, onlySegment), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'!'}, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	passed := uint64(0)
	err = j.Read(1, 0, 0, func(i uint64, _ []byte) error { passed = i; return nil })
	if !errors.Is(err, journal.ErrCorrupt) || passed != 5 {
		t.Errorf("Read passed %d records and then %v; want 5 and ErrCorrupt", passed, err)
	}
}

func TestMissingSegmentIsFound(t *testing.T) {
	files, _ := known(t, journal.Options{MaxBytes: 1 << 20, SegmentBytes: 120}, 2, 1, 3, 1, 2, 3)
	if len(files) < 4 {
		t.Fatalf("%d segments; the test needs more", len(files))
	}
	first, last := onlySegment, onlySegment
	for name := range files {
		last = max(last, name)
	}
	for name := range files {
		if name == first || name == last { // trimmed, or never written, for all anyone knows
			continue
		}
		fewer := map[string][]byte{}
		for n, content := range files {
			if n != name {
				fewer[n] = content
			}
		}
		if _, err := journal.OpenOn(dirWith(t, fewer), journal.Options{}, unsynced{}); !errors.Is(err, journal.ErrCorrupt) {
			t.Errorf("without %s: %v; want ErrCorrupt", name, err)
		}
	}
	files[last], files[first] = files[first], files[last]
	if _, err := journal.OpenOn(dirWith(t, files), journal.Options{}, unsynced{}); !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("segments exchanged: %v; want ErrCorrupt", err)
	}
}

// TestTornRecordThatLooksLikeAGroup: a user who guesses the format must not be able
// to make a power cut look like damage. Only the salt, which nobody is told, prevents it.
func TestTornRecordThatLooksLikeAGroup(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{})
	add(t, j, 1, 2)
	if _, err := j.Append([][]byte{journal.ForgedGroup(0, 4, []byte("gotcha")), []byte("torn")}); err != nil {
		t.Fatal(err)
	}
	j.Kill()
	path := filepath.Join(dir, onlySegment)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	verify(t, open(t, dir, journal.Options{}), 1, 2)
}

func TestRemainsOfACrashAreTidiedAndOtherFilesLeft(t *testing.T) {
	files, _ := known(t, journal.Options{}, 2, 1)
	unfinished, foreign := "00000000000000000004.journal.tmp", "notes.tmp"
	files[unfinished], files[foreign] = []byte("half"), []byte("mine")
	dir := dirWith(t, files)
	verify(t, open(t, dir, journal.Options{}), 1, 3)
	if _, err := os.Stat(filepath.Join(dir, unfinished)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unfinished segment: %v; want it gone", err)
	}
	if _, err := os.Stat(filepath.Join(dir, foreign)); err != nil {
		t.Error(err)
	}
}
