package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Trace is what a process did to files in the order it did it, from strace: enough to say
// what a disk may hold if the power fails at any point of it.
type Trace struct {
	Ops []FileOp
	dir string
	// Acks[i] are the seqs acknowledged as stored before Ops[i]; they count from there on.
	acks []ackAt

	dirs    map[string]bool // to tell the sync of a directory
	renamed map[string]bool // and not known to be durable yet
}

// FileOp is one change of a file.
type FileOp struct {
	Kind string // create, write, truncate, sync, unlink, rename, syncdir
	Path string // of a rename: the new name
	From string // rename
	Off  int64  // write: where; truncate: the size
	Data []byte
}

type ackAt struct {
	op  int // how many ops came before
	seq int64
}

// StraceArgs are the arguments under which a program leaves a trace in file.
func StraceArgs(file string) []string {
	return []string{"strace", "-f", "-qq", "-y", "-xx", "-s", "2000000", "-e", "signal=none", "-o", file,
		"-e", "trace=openat,mkdir,mkdirat,write,pwrite64,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2"}
}

var acknowledged = regexp.MustCompile(`"seq":(\d+),"stored":(?:true|false,"journaled":true)`)

// ReadTrace reads what strace wrote. Only files in dir and in directories made there count; acknowledgements,
// as stored or as journaled, are looked for in everything written elsewhere.
func ReadTrace(r io.Reader, dir string) (*Trace, error) {
	t := &Trace{dir: dir, dirs: map[string]bool{dir: true}, renamed: make(map[string]bool)}
	unfinished := make(map[string]string) // by thread: a call whose effect comes when it returns
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		thread, call, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		call = strings.TrimSpace(call)
		switch {
		case strings.HasPrefix(call, "+++"), strings.HasPrefix(call, "---"):
			continue
		case strings.HasPrefix(call, "<... "):
			start := unfinished[thread]
			delete(unfinished, thread)
			if _, result, ok := strings.Cut(call, " resumed>"); ok && start != "" {
				err = t.take(start+result, dir)
			}
		case strings.HasSuffix(call, "<unfinished ...>"):
			call = strings.TrimSpace(strings.TrimSuffix(call, "<unfinished ...>"))
			if strings.HasPrefix(call, "write(") || strings.HasPrefix(call, "pwrite64(") {
				err = t.take(call+") = 0", dir) // the bytes may arrive from now on
			} else {
				unfinished[thread] = call
			}
		default:
			err = t.take(call, dir)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of the trace: %w: %.200s", n, err, line)
		}
	}
}

// take handles one whole call.
func (t *Trace) take(call, dir string) error {
	name, rest, ok := strings.Cut(call, "(")
	if !ok {
		return errors.New("not a call")
	}
	end := strings.LastIndex(rest, ") ")
	if end < 0 {
		return errors.New("no end")
	}
	args, result := rest[:end], strings.TrimLeft(strings.TrimSpace(rest[end+1:]), "= ")
	if strings.HasPrefix(result, "-1") || strings.HasPrefix(result, "?") {
		return nil // it failed and changed nothing
	}
	switch name {
	case "fsync", "fdatasync":
		path := annotation(args)
		if t.dirs[path] {
			t.Ops = append(t.Ops, FileOp{Kind: "syncdir", Path: path})
			maps.DeleteFunc(t.renamed, func(name string, _ bool) bool { return filepath.Dir(name) == path })
		} else if inside(path, dir) {
			t.Ops = append(t.Ops, FileOp{Kind: "sync", Path: path})
		}
	case "ftruncate":
		if path := annotation(args); inside(path, dir) {
			size, err := strconv.ParseInt(last(args), 10, 64)
			if err != nil {
				return err
			}
			t.Ops = append(t.Ops, FileOp{Kind: "truncate", Path: path, Off: size})
		}
	case "openat":
		if path := annotation(result); strings.Contains(args, "O_CREAT") && inside(path, dir) {
			t.Ops = append(t.Ops, FileOp{Kind: "create", Path: path})
			if strings.Contains(args, "O_TRUNC") {
				t.Ops = append(t.Ops, FileOp{Kind: "truncate", Path: path})
			}
		}
	case "mkdir", "mkdirat":
		b, err := quoted(args)
		if err != nil {
			return err
		}
		t.dirs[string(b)] = true
	case "unlink", "unlinkat":
		b, err := quoted(args)
		if err != nil {
			return err
		}
		if inside(string(b), dir) {
			t.Ops = append(t.Ops, FileOp{Kind: "unlink", Path: string(b)})
		}
	case "rename", "renameat", "renameat2":
		from, err := quoted(args)
		if err != nil {
			return err
		}
		_, after, _ := strings.Cut(args, `"`) // behind the first string comes the second
		_, after, _ = strings.Cut(after, `"`)
		to, err := quoted(after)
		if err != nil {
			return err
		}
		if inside(string(to), dir) {
			t.Ops = append(t.Ops, FileOp{Kind: "rename", From: string(from), Path: string(to)})
			t.renamed[string(to)] = true
		}
	case "write", "pwrite64":
		return t.takeWrite(name, args, dir)
	}
	return nil
}

// takeWrite handles a write: of a file, or of what may be acknowledgements.
func (t *Trace) takeWrite(name, args, dir string) error {
	b, err := quoted(args)
	if err != nil {
		return err
	}
	if path := annotation(args); inside(path, dir) {
		if name == "write" {
			return fmt.Errorf("a write to %s without a position", path)
		}
		if t.renamed[path] {
			return fmt.Errorf("a write to %s, whose name may not be durable, is not understood", path)
		}
		off, err := strconv.ParseInt(last(args), 10, 64)
		if err != nil {
			return err
		}
		t.Ops = append(t.Ops, FileOp{Kind: "write", Path: path, Off: off, Data: b})
		return nil
	}
	for _, m := range acknowledged.FindAllSubmatch(b, -1) {
		seq, _ := strconv.ParseInt(string(m[1]), 10, 64)
		if seq != 0 {
			t.acks = append(t.acks, ackAt{len(t.Ops), seq})
		}
	}
	return nil
}

func inside(path, dir string) bool {
	return strings.HasPrefix(path, dir+"/") && !strings.HasSuffix(path, "-shm") && !strings.HasSuffix(path, ".lock")
}

// annotation is the path that strace -y puts behind a descriptor.
func annotation(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	if strings.Contains(s, `\x`) {
		if b, err := unhex(s); err == nil {
			return string(b)
		}
	}
	return s
}

func last(args string) string {
	return strings.TrimSpace(args[strings.LastIndexByte(args, ',')+1:])
}

// quoted is the first string of args, which strace -xx wrote in hexadecimal.
func quoted(args string) ([]byte, error) {
	_, s, ok := strings.Cut(args, `"`)
	s, after, ok2 := strings.Cut(s, `"`)
	if !ok || !ok2 {
		return nil, errors.New("no string")
	}
	if strings.HasPrefix(after, "...") {
		return nil, errors.New("a string cut short")
	}
	return unhex(s)
}

func unhex(s string) ([]byte, error) {
	b := make([]byte, 0, len(s)/4)
	for len(s) > 0 {
		if len(s) < 4 || s[:2] != `\x` {
			b = append(b, s[0]) // printed as it is
			s = s[1:]
			continue
		}
		v, err := strconv.ParseUint(s[2:4], 16, 8)
		if err != nil {
			return nil, err
		}
		b = append(b, byte(v))
		s = s[4:]
	}
	return b, nil
}

// Acked returns the seqs acknowledged before the power fails at op.
func (t *Trace) Acked(op int) (seqs []int64) {
	for _, a := range t.acks {
		if a.op <= op {
			seqs = append(seqs, a.seq)
		}
	}
	return seqs
}

// Survival says what of the writes that were not synced a failing disk keeps.
type Survival string

// The survivals a crash point is tried with.
const (
	KeepNone Survival = "nothing unsynced" // the disk's cache is lost
	KeepAll  Survival = "everything"       // as at kill -9
	KeepSome Survival = "any of it"        // each 512-byte sector of each write, or not, in no order
	KeepTorn Survival = "up to a torn write"
)

// sector is what a disk writes whole.
const sector = 512

// disk is the state of files on a disk: what is there for sure, and what may be.
type disk struct {
	files   map[string][]byte // synced
	exists  map[string]bool   // the directory knows it for sure
	pending []FileOp
}

// apply carries out the next op of a trace.
func (d *disk) apply(op FileOp) {
	switch op.Kind {
	case "sync":
		rest := d.pending[:0:0]
		for _, p := range d.pending {
			if p.Path != op.Path || p.Kind == "unlink" || p.Kind == "rename" {
				rest = append(rest, p)
				continue
			}
			d.files[p.Path] = changed(d.files[p.Path], p)
			d.exists[p.Path] = true // as ext4, xfs and btrfs do for a new file
		}
		d.pending = rest
	case "syncdir":
		rest := d.pending[:0:0]
		for _, p := range d.pending {
			switch here := filepath.Dir(p.Path) == op.Path; {
			case here && p.Kind == "unlink":
				delete(d.files, p.Path)
				delete(d.exists, p.Path)
			case here && p.Kind == "rename":
				d.files[p.Path], d.exists[p.Path] = d.files[p.From], true
				delete(d.files, p.From)
				delete(d.exists, p.From)
			case here && p.Kind == "create":
				d.exists[p.Path] = true
			default:
				rest = append(rest, p)
			}
		}
		d.pending = rest
	default:
		d.pending = append(d.pending, op)
	}
}

// changed returns a file's content after a write or truncate.
func changed(b []byte, op FileOp) []byte {
	switch op.Kind {
	case "write":
		if need := op.Off + int64(len(op.Data)); int64(len(b)) < need {
			b = append(b, make([]byte, need-int64(len(b)))...)
		}
		copy(b[op.Off:], op.Data)
	case "truncate":
		if int64(len(b)) > op.Off {
			b = b[:op.Off:op.Off]
		} else {
			b = append(b, make([]byte, op.Off-int64(len(b)))...)
		}
	case "create":
		if b == nil {
			b = []byte{}
		}
	}
	return b
}

// fail returns the files as a disk that fails now keeps them.
func (d *disk) fail(how Survival, rng *rand.Rand) map[string][]byte {
	files := make(map[string][]byte)
	for path := range d.exists {
		files[path] = slices.Clone(d.files[path])
	}
	upTo := len(d.pending)
	if how == KeepTorn && upTo > 0 {
		upTo = 1 + rng.IntN(upTo)
	}
	for i, p := range d.pending[:upTo] {
		keep := how == KeepAll || how == KeepTorn || how == KeepSome && rng.IntN(2) == 0
		switch {
		case how == KeepNone:
		case p.Kind == "unlink" && keep:
			delete(files, p.Path)
		case p.Kind == "rename" && keep:
			files[p.Path] = files[p.From]
			delete(files, p.From)
		case p.Kind == "unlink", p.Kind == "rename":
		case p.Kind == "create" && files[p.Path] != nil:
		case p.Kind == "write" && how == KeepSome:
			for off := 0; off < len(p.Data); off += sector {
				if rng.IntN(2) == 0 {
					piece := FileOp{Kind: "write", Off: p.Off + int64(off), Data: p.Data[off:min(off+sector, len(p.Data))]}
					files[p.Path] = changed(files[p.Path], piece)
				}
			}
		case p.Kind == "write" && how == KeepTorn && i == upTo-1:
			torn := p
			torn.Data = p.Data[:rng.IntN(len(p.Data)+1)]
			files[p.Path] = changed(files[p.Path], torn)
		case keep:
			files[p.Path] = changed(files[p.Path], p)
		}
	}
	return files
}

// Crashes fails the power at every op that at chooses, in each way, and has judge look at the files in dir
// and at what had been acknowledged. It returns how many states were judged.
func (t *Trace) Crashes(dir string, rng *rand.Rand, at func(op int) bool, judge func(op int, how Survival, acked []int64) error) (states int, err error) {
	d := &disk{files: make(map[string][]byte), exists: make(map[string]bool)}
	for i := 0; i <= len(t.Ops); i++ {
		if at(i) {
			acked := t.Acked(i)
			for _, how := range []Survival{KeepNone, KeepAll, KeepSome, KeepTorn} {
				if err := lay(dir, t.dir, d.fail(how, rng)); err != nil {
					return states, err
				}
				states++
				if err := judge(i, how, acked); err != nil {
					return states, err
				}
			}
		}
		if i < len(t.Ops) {
			d.apply(t.Ops[i])
		}
	}
	return states, nil
}

// lay makes dir hold exactly these files, which were in from.
func lay(dir, from string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, files[path], 0o600); err != nil {
			return err
		}
	}
	return nil
}
