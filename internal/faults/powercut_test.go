//go:build linux

package faults_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

// needStrace skips where the trace cannot be taken.
func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: the power-cut tests need it to see what the server writes")
	}
	if out, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %v: %s", err, out)
	}
}

func readTrace(t *testing.T, file, dir string) *faults.Trace {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	trace, err := faults.ReadTrace(f, dir)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// Faults 3 and 4: the power fails at any point of a server's life, from the making of the
// file, through commits and checkpoints under load, to the end: the store opens, its
// check finds nothing, and everything acknowledged by then is there.
func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	needStrace(t)
	beside(t)
	w := newWorld(t, either(2*time.Minute, 15*time.Minute))
	cfg := freely()
	cfg.Store = w.path()
	dir := filepath.Dir(cfg.Store)
	file := filepath.Join(t.TempDir(), "trace")
	child := w.child(cfg, faults.StraceArgs(file)...)
	load := faults.Mixed("one", "two")
	load.Size, load.Ops = 3900, 140 // a checkpoint comes every 4 MiB of log
	w.drive(load, w.dial(4, "user")...)
	w.work.Wait()
	w.quiet()
	w.end(child)
	trace := readTrace(t, file, dir)

	main, syncs, checkpoint := cfg.Store, 0, 0
	for _, op := range trace.Ops {
		if op.Kind == "sync" {
			syncs++
		}
		if op.Path == main && op.Kind == "write" {
			checkpoint++
		}
	}
	acks := len(trace.Acked(len(trace.Ops)))
	t.Logf("%d changes of files, %d syncs, %d writes to the file itself, %d acknowledgements", len(trace.Ops), syncs, checkpoint, acks)
	if acks < 300 || checkpoint < 100 {
		t.Fatal("the trace shows too little")
	}
	// All points of the making, then some of the commits and of the checkpoints, and all of the end.
	share := either(150, 3)
	at := func(op int) bool {
		switch {
		case op < 60 || op > len(trace.Ops)-20:
			return *long || op%8 == 0
		case trace.Ops[op].Path == main:
			return w.rng.IntN(share) == 0
		default:
			return w.rng.IntN(2*share) == 0
		}
	}
	w.cut(trace, at, func(scratch string, acked []int64) (int, error) {
		return missingFrom(w.ctx, filepath.Join(scratch, filepath.Base(cfg.Store)), acked)
	})
}

// cut replays the trace up to the changes that at chooses; missing looks at what is left in a
// directory and counts the acknowledged events that are not.
func (w *world) cut(trace *faults.Trace, at func(op int) bool, missing func(scratch string, acked []int64) (int, error)) {
	w.t.Helper()
	scratch, lost := filepath.Join(w.t.TempDir(), "disk"), 0
	states, err := trace.Crashes(scratch, w.rng, at, func(op int, how faults.Survival, acked []int64) error {
		n, err := missing(scratch, acked)
		if err != nil {
			return fmt.Errorf("power cut before change %d of %d, keeping %s: %w", op, len(trace.Ops), how, err)
		}
		if n > 0 {
			lost += n
			w.t.Errorf("power cut before change %d of %d, keeping %s: %d of %d acknowledged events are lost", op, len(trace.Ops), how, n, len(acked))
		}
		return nil
	})
	w.t.Logf("%d states of the disk opened and checked, %d acknowledged events lost", states, lost)
	w.must(err)
}

// missingFrom opens a store, which checks it page by page, and counts the seqs it does not have.
func missingFrom(ctx context.Context, path string, seqs []int64) (missing int, err error) {
	store, err := chatroom.OpenSQLite(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return missingIn(ctx, store, seqs)
}

func missingIn(ctx context.Context, store chatroom.Store, seqs []int64) (missing int, err error) {
	has := make(map[int64]bool)
	for _, room := range []string{"one", "two"} {
		for after := chatroom.Seq(0); ; {
			events, err := store.Events(ctx, room, after, 1000)
			if err != nil {
				return 0, err
			}
			for _, e := range events {
				has[int64(e.Seq)] = true
				after = e.Seq
			}
			if len(events) < 1000 {
				break
			}
		}
	}
	for _, seq := range seqs {
		if !has[seq] {
			missing++
		}
	}
	return missing, nil
}

// The same with a journal, and a store that is slow: what was acknowledged as journaled is in the
// store after the next start, wherever the power was cut.
func TestPowerCutLosesNothingJournaled(t *testing.T) {
	needStrace(t)
	beside(t)
	w := newWorld(t, either(time.Minute, 15*time.Minute))
	cfg := freely()
	cfg.Store = w.path()
	dir := filepath.Dir(cfg.Store)
	cfg.Journal, cfg.StoreDelay, cfg.Limits.JournalBytes = filepath.Join(dir, "journal"), 20*time.Millisecond, 1<<20
	file := filepath.Join(t.TempDir(), "trace")
	child := w.child(cfg, faults.StraceArgs(file)...)
	load := faults.Mixed("one", "two")
	load.Size, load.Ops = 3900, 140 // a segment is 512 KiB
	w.drive(load, w.dial(4, "user")...)
	w.work.Wait()
	w.quiet()
	w.end(child)
	trace := readTrace(t, file, dir)
	kinds := make(map[string]int) // of what happened to the journal
	for _, op := range trace.Ops {
		if filepath.Dir(op.Path) == cfg.Journal || op.Path == cfg.Journal {
			kinds[op.Kind]++
		}
	}
	acks := len(trace.Acked(len(trace.Ops)))
	t.Logf("%d changes of files, of the journal %v, %d acknowledgements", len(trace.Ops), kinds, acks)
	if acks < 300 || w.Counts().Journaled < 300 || kinds["sync"] < 50 || kinds["rename"] < 2 || kinds["unlink"] < 1 {
		t.Fatal("the trace shows too little")
	}
	// Of the journal's new and old segments all, some of its writes and syncs, few of the store's.
	share := either(25, 1)
	at := func(op int) bool {
		switch {
		case op == len(trace.Ops):
			return true
		case filepath.Dir(trace.Ops[op].Path) != cfg.Journal:
			return w.rng.IntN(20*share) == 0
		}
		kind := trace.Ops[op].Kind
		return kind == "rename" || kind == "unlink" || w.rng.IntN(share) == 0
	}
	w.cut(trace, at, func(scratch string, acked []int64) (int, error) {
		return missingAfterReplay(w.ctx, scratch, cfg, acked)
	})
}

// missingAfterReplay starts a hub on what is left of a store and its journal, waits until it
// has replayed that, and counts the seqs that the store does not have then.
func missingAfterReplay(ctx context.Context, dir string, cfg faults.Config, seqs []int64) (missing int, err error) {
	store, err := chatroom.OpenSQLite(filepath.Join(dir, filepath.Base(cfg.Store)))
	if err != nil {
		return 0, err
	}
	cfg.Journal = filepath.Join(dir, filepath.Base(cfg.Journal))
	hub, err := chatroom.New(cfg.Options(store))
	if err != nil {
		return 0, errors.Join(err, store.Close())
	}
	_, err = hub.Room("one").LastSeq(ctx) // not before all of it is there
	missing, missingErr := missingIn(ctx, store, seqs)
	return missing, errors.Join(err, missingErr, hub.Shutdown(ctx), store.Close())
}

// The control of these: the same schema written with synchronous=NORMAL loses
// commits in the same replay, with FULL it does not; so the replay can see a loss.
func TestPowerCutReplaySeesWhatSynchronousNormalLoses(t *testing.T) {
	needStrace(t)
	beside(t)
	for _, mode := range []string{"NORMAL", "FULL"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, 2*time.Minute)
			path := w.path()
			file := filepath.Join(t.TempDir(), "trace")
			args := append(faults.StraceArgs(file), os.Args[0])
			cmd := exec.CommandContext(w.ctx, args[0], args[1:]...)
			cmd.Env = append(os.Environ(), controlVariable+"="+mode+" "+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			trace := readTrace(t, file, filepath.Dir(path))
			scratch := filepath.Join(t.TempDir(), "disk")
			rng := rand.New(rand.NewPCG(w.seed, 2))
			lost, bad := 0, 0
			states, err := trace.Crashes(scratch, rng, func(op int) bool { return op%either(32, 2) == 0 && len(trace.Acked(op)) > 0 }, func(_ int, _ faults.Survival, acked []int64) error {
				n, err := countMissing(filepath.Join(scratch, filepath.Base(path)), acked)
				if n > 0 {
					lost += n
					bad++
				}
				return err
			})
			w.must(err)
			t.Logf("synchronous=%s: %d of %d states lost something, %d acknowledged rows in all", mode, bad, states, lost)
			if (mode == "NORMAL") != (lost > 0) {
				t.Errorf("synchronous=%s lost %d rows", mode, lost)
			}
		})
	}
}

// controlVariable makes the test binary the control program: "NORMAL path".
const controlVariable = "CHATROOM_FAULTS_CONTROL"

// runControl writes 100 messages with plain SQL and says so on stdout, as a server would on its sockets.
func runControl() {
	mode, path, ok := strings.Cut(os.Getenv(controlVariable), " ")
	if !ok {
		return
	}
	if err := control(mode, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func control(mode, path string) error {
	schema, err := os.ReadFile("../../sqlite/0001.sql")
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous("+mode+")")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(string(schema)); err != nil {
		return err
	}
	for seq := 1; seq <= 100; seq++ {
		_, err := db.Exec(`INSERT INTO message (room, seq, user_id, user_name, key, digest, reply_to, text) VALUES (1, ?, 'ann', 'Ann', ?, 0, 0, 'hi')`, seq, fmt.Sprint(seq))
		if err != nil {
			return err
		}
		fmt.Printf("\"seq\":%d,\"stored\":true\n", seq)
	}
	return db.Close()
}

func countMissing(path string, seqs []int64) (missing int, err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var check string
	if err := db.QueryRow("PRAGMA quick_check").Scan(&check); err != nil || check != "ok" {
		return 0, fmt.Errorf("quick_check: %s: %w", check, err)
	}
	var n int
	if err := db.QueryRow("SELECT count(*) FROM message WHERE seq <= ?", seqs[len(seqs)-1]).Scan(&n); err != nil {
		return len(seqs), nil // the schema itself is lost
	}
	return len(seqs) - n, nil
}
