package journal_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/chatroom-go/chatroom/internal/journal"
)

// modelDisk is a real disk that also keeps account of what it would have left if the power
// went now, and makes operations fail. What was read back before that is the
// page cache; what is durable is only what was synced.
type modelDisk struct {
	real unsynced
	rand *rand.Rand
	fail func(op string) bool // called once for each operation
	step func()               // called before and after each operation

	names   map[string]*inode // as they are now
	durable map[string]*inode
	changes []nameChange // since the directory was synced
}

// nameChange happens whole or not at all.
type nameChange struct {
	name string
	to   *inode // nil: removed
	from string // what it was called before, if it was renamed
}

// inode is a file's content: what is durable, and what was done since.
type inode struct {
	cached, durable []byte
	pending         []change
}

type change struct {
	truncate bool
	at       int
	data     []byte
}

// sector is how much of a write gets to the disk together.
const sector = 16

func newModelDisk(r *rand.Rand) *modelDisk {
	return &modelDisk{rand: r, fail: func(string) bool { return false }, step: func() {},
		names: map[string]*inode{}, durable: map[string]*inode{}}
}

var errInjected = fmt.Errorf("injected: %w", syscall.EIO)

func (c change) apply(b []byte) []byte {
	if c.truncate {
		if c.at <= len(b) {
			return b[:c.at]
		}
		return append(b, make([]byte, c.at-len(b))...)
	}
	if end := c.at + len(c.data); end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	copy(b[c.at:], c.data)
	return b
}

func (n *inode) do(c change) {
	n.cached = c.apply(slices.Clone(n.cached))
	n.pending = append(n.pending, c)
}

// survivor is the content after a power cut. chance is that of each unsynced sector to be there.
func (n *inode) survivor(r *rand.Rand, chance float64) []byte {
	b := slices.Clone(n.durable)
	for _, c := range n.pending {
		if c.truncate {
			if r.Float64() < chance {
				b = c.apply(b)
			}
			continue
		}
		for at := 0; at < len(c.data); at += sector {
			if r.Float64() < chance {
				b = change{at: c.at + at, data: c.data[at:min(at+sector, len(c.data))]}.apply(b)
			}
		}
	}
	return b
}

// survivors is the directory after a power cut.
func (d *modelDisk) survivors(chance float64) map[string][]byte {
	names := map[string]*inode{}
	for name, n := range d.durable {
		names[name] = n
	}
	for _, c := range d.changes {
		if d.rand.Float64() < chance { // without order; most file systems are kinder
			c.apply(names)
		}
	}
	files := map[string][]byte{}
	for name, n := range names {
		files[name] = n.survivor(d.rand, chance)
	}
	return files
}

func (c nameChange) apply(names map[string]*inode) {
	delete(names, c.from)
	if c.to == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.to
	}
}

// operate runs one operation, unless it fails.
func (d *modelDisk) operate(op string, f func() error) error {
	d.step()
	defer d.step()
	if d.fail(op) {
		return errInjected
	}
	return f()
}

func (d *modelDisk) change(c nameChange) {
	d.changes = append(d.changes, c)
	c.apply(d.names)
}

func (d *modelDisk) Mkdir(dir string) error { return d.real.Mkdir(dir) }

func (d *modelDisk) Create(path string) (f journal.File, err error) {
	err = d.operate("create", func() error {
		real, err := d.real.Create(path)
		name := filepath.Base(path)
		if n := d.names[name]; n != nil {
			n.do(change{truncate: true})
		} else {
			d.change(nameChange{name: name, to: &inode{}})
		}
		f = &modelFile{disk: d, real: real, inode: d.names[name]}
		return err
	})
	return f, err
}

func (d *modelDisk) Write(path string) (f journal.File, err error) {
	err = d.operate("open", func() error {
		real, err := d.real.Write(path)
		f = &modelFile{disk: d, real: real, inode: d.names[filepath.Base(path)]}
		return err
	})
	return f, err
}

func (d *modelDisk) Rename(from, to string) error {
	return d.operate("rename", func() error {
		d.change(nameChange{name: filepath.Base(to), to: d.names[filepath.Base(from)], from: filepath.Base(from)})
		return d.real.Rename(from, to)
	})
}

func (d *modelDisk) Remove(path string) error {
	return d.operate("remove", func() error {
		d.change(nameChange{name: filepath.Base(path)})
		return d.real.Remove(path)
	})
}

func (d *modelDisk) SyncDir(string) error {
	return d.operate("syncdir", func() error {
		d.durable = map[string]*inode{}
		for name, n := range d.names {
			d.durable[name] = n
		}
		d.changes = nil
		return nil
	})
}

type modelFile struct {
	disk  *modelDisk
	real  journal.File
	inode *inode
}

func (f *modelFile) WriteAt(b []byte, at int64) (n int, err error) {
	f.disk.step()
	defer f.disk.step()
	if f.disk.fail("write") { // a part of it, as on a full disk
		n, err = f.disk.rand.IntN(len(b)), errInjected
	} else {
		n = len(b)
	}
	f.inode.do(change{at: int(at), data: slices.Clone(b[:n])})
	if _, err := f.real.WriteAt(b[:n], at); err != nil {
		return 0, err
	}
	return n, err
}

// Sync that fails does what Linux does: the pages count as clean. They read as written, and never get to the disk.
func (f *modelFile) Sync() error {
	f.disk.step()
	defer f.disk.step()
	if f.disk.fail("sync") {
		f.inode.durable, f.inode.pending = f.inode.survivor(f.disk.rand, 0.5), nil
		return errInjected
	}
	for _, c := range f.inode.pending {
		f.inode.durable = c.apply(slices.Clone(f.inode.durable))
	}
	f.inode.pending = nil
	return nil
}

func (f *modelFile) Truncate(size int64) error {
	return f.disk.operate("truncate", func() error {
		f.inode.do(change{truncate: true, at: int(size)})
		return f.real.Truncate(size)
	})
}

func (f *modelFile) Close() error { return f.real.Close() }

// history is what a journal was told and what it promised.
type history struct {
	acked    map[uint64][]byte
	last     uint64              // acked
	tried    map[uint64][][]byte // everything ever appended at an index
	trimming uint64              // the highest Trim begun
}

// check compares a journal that was just opened with what it promised.
func (h *history) check(j *journal.Journal) (held map[uint64][]byte, err error) {
	if j.First() > h.trimming+1 || j.Last() < h.last {
		return nil, fmt.Errorf("it has %d to %d; trimmed were %d, acknowledged %d", j.First(), j.Last(), h.trimming, h.last)
	}
	held = map[uint64][]byte{}
	next := j.First()
	err = j.Read(0, 0, 0, func(i uint64, r []byte) error {
		if i != next {
			return fmt.Errorf("record %d came, %d was next", i, next)
		}
		next++
		held[i] = bytes.Clone(r)
		if want, ok := h.acked[i]; ok && !bytes.Equal(r, want) {
			return fmt.Errorf("record %d is %q; %q was acknowledged", i, r, want)
		}
		if !slices.ContainsFunc(h.tried[i], func(b []byte) bool { return bytes.Equal(b, r) }) {
			return fmt.Errorf("record %d is %q, which nobody appended", i, r)
		}
		return nil
	})
	if err == nil && next != j.Last()+1 {
		err = fmt.Errorf("Read ended before %d, Last is %d", next, j.Last())
	}
	return held, err
}

// scenario drives one journal at random: appends, trims, process ends, failing
// operations. After every step of the disk the power may go, in a copy.
type scenario struct {
	t      *testing.T
	rand   *rand.Rand
	disk   *modelDisk
	dir    string
	opts   journal.Options
	j      *journal.Journal
	serial int
	history

	rate             float64 // of failing operations
	cuts, faults     int
	acks, reopenings int
}

func (s *scenario) append() {
	var records [][]byte
	for range 1 + s.rand.IntN(4) {
		s.serial++
		records = append(records, bytes.Repeat(fmt.Appendf(nil, "%d,", s.serial), s.rand.IntN(20)))
	}
	first := s.j.Last() + 1
	for i, r := range records {
		s.tried[first+uint64(i)] = append(s.tried[first+uint64(i)], r)
	}
	got, err := s.j.Append(records)
	if err != nil {
		if !errors.Is(err, errInjected) && !errors.Is(err, journal.ErrFull) {
			s.t.Fatal(err)
		}
		return
	}
	if got != first {
		s.t.Fatalf("Append = %d; want %d", got, first)
	}
	s.acks++
	for i, r := range records {
		s.last = first + uint64(i)
		s.acked[s.last] = r
	}
}

func (s *scenario) trim() {
	upTo := s.j.First() - 1 + s.rand.Uint64N(s.j.Last()-s.j.First()+2)
	s.trimming = max(s.trimming, upTo)
	if err := s.j.Trim(upTo); err != nil && !errors.Is(err, errInjected) {
		s.t.Fatal(err)
	}
}

// reopen ends the process, with or without Close, and starts another. What that one
// finds is promised from then on.
func (s *scenario) reopen() {
	if s.j != nil {
		if s.rand.IntN(2) == 0 {
			s.j.Close()
		} else {
			s.j.Kill()
		}
	}
	for {
		var err error
		if s.j, err = journal.OpenOn(s.dir, s.opts, s.disk); err == nil {
			break
		}
		if !errors.Is(err, errInjected) || errors.Is(err, journal.ErrCorrupt) {
			s.t.Fatalf("after the end of the process: %+v", err)
		}
	}
	s.reopenings++
	held, err := s.check(s.j)
	if err != nil {
		s.t.Fatalf("after the end of the process: %+v", err)
	}
	for i, r := range held {
		s.acked[i] = r
	}
	s.last = s.j.Last()
}

// cut looks at what a power cut at this moment would have left.
func (s *scenario) cut() {
	for _, chance := range []float64{0, 0.5, 0.9, 1} {
		if s.rand.IntN(8) != 0 {
			continue
		}
		s.cuts++
		files := s.disk.survivors(chance)
		dir := dirWith(s.t, files)
		j, err := journal.OpenOn(dir, s.opts, unsynced{})
		if err != nil {
			s.t.Fatalf("after a power cut (%v of what was not synced is there): %+v", chance, err)
		}
		_, err = s.check(j)
		j.Kill()
		os.RemoveAll(dir)
		if err != nil {
			s.t.Fatalf("after a power cut (%v of what was not synced is there): %+v", chance, err)
		}
	}
}

func (s *scenario) run(steps int) {
	s.disk.step = s.cut
	s.disk.fail = func(string) bool {
		if s.rand.Float64() >= s.rate {
			return false
		}
		s.faults++
		return true
	}
	s.reopen()
	defer func() { s.j.Kill() }()
	for range steps {
		switch n := s.rand.IntN(20); {
		case n < 14:
			s.append()
		case n < 18:
			s.trim()
		default:
			s.reopen()
		}
	}
}

var (
	seedFlag = flag.Uint64("journal.seed", 0, "seed of the random scenarios; 0 for another one each")
	runsFlag = flag.Int("journal.runs", 3, "how many random scenarios of each kind")
)

// TestNothingAcknowledgedIsLost runs random scenarios; -journal.seed repeats one, -journal.runs asks for more.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		rate float64
	}{
		{"power cuts and process ends", 0},
		{"and failing operations", 0.05},
		{"and a bad disk", 0.3},
	} {
		t.Run(c.name, func(t *testing.T) {
			cuts, faults, acks, reopenings := 0, 0, 0, 0
			for range *runsFlag {
				seed := rand.Uint64()
				if *seedFlag != 0 {
					seed = *seedFlag
				}
				r := rand.New(rand.NewPCG(seed, 1))
				s := &scenario{t: t, rand: r, disk: newModelDisk(r), dir: t.TempDir(), rate: c.rate,
					opts:    journal.Options{MaxBytes: 4 << 10, SegmentBytes: 50 + r.Int64N(1000)},
					history: history{acked: map[uint64][]byte{}, tried: map[uint64][][]byte{}}}
				func() {
					defer func() {
						if t.Failed() {
							t.Logf("repeat with -run '%s' -journal.seed=%d", t.Name(), seed)
						}
					}()
					s.run(60)
				}()
				cuts, faults, acks, reopenings = cuts+s.cuts, faults+s.faults, acks+s.acks, reopenings+s.reopenings
			}
			t.Logf("%d acknowledged groups, %d process ends, %d power cuts, %d failed operations", acks, reopenings, cuts, faults)
			if acks == 0 || cuts == 0 || reopenings == 0 || c.rate > 0 && faults == 0 {
				t.Error("the scenarios did not happen")
			}
		})
	}
}

// TestAppendGoesOnWhenTheDiskIsWell fails one operation of Append each way it can.
func TestAppendGoesOnWhenTheDiskIsWell(t *testing.T) {
	for _, op := range []string{"write", "sync", "create", "open", "rename", "syncdir", "truncate"} {
		for _, opts := range []journal.Options{{}, {MaxBytes: 1 << 20, SegmentBytes: 1}} {
			t.Run(fmt.Sprintf("%s, segments of %d", op, opts.SegmentBytes), func(t *testing.T) {
				d := newModelDisk(rand.New(rand.NewPCG(1, 1)))
				dir := t.TempDir()
				j, err := journal.OpenOn(dir, opts, d)
				if err != nil {
					t.Fatal(err)
				}
				add(t, j, 2, 2)
				failing := true
				d.fail = func(o string) bool { return failing && (o == op || op == "truncate" && o == "write") }
				failed := 0
				for range 3 {
					if _, err := j.Append([][]byte{[]byte("lost"), []byte("too")}); err != nil {
						failed++
						if !errors.Is(err, syscall.EIO) || j.Last() != 4 {
							t.Fatalf("Append: %v, Last %d; want the disk's error and 4", err, j.Last())
						}
						verify(t, j, 1, 4)
					} else {
						return // this operation is no part of it, or not needed
					}
				}
				failing = false
				add(t, j, 3, 2)
				verify(t, j, 1, 10)
				j.Kill()
				if j, err = journal.OpenOn(dir, opts, d); err != nil {
					t.Fatal(err)
				}
				verify(t, j, 1, 10)
				if err := j.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
