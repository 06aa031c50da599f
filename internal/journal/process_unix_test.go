//go:build unix

package journal_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/chatroom-go/chatroom/internal/journal"
)

// childDir tells a process started by these tests where its journal is.
const childDir = "CHATROOM_JOURNAL_TEST_DIR"

func child(t *testing.T, test, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

var childOptions = journal.Options{MaxBytes: 1 << 20, SegmentBytes: 20000}

// TestChildAppends is the process that is killed: it appends and trims until then,
// and prints Last after every Append.
func TestChildAppends(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("runs in a process of its own")
	}
	j := open(t, dir, childOptions)
	fmt.Println("from", j.First(), j.Last())
	for n := 1; ; n++ {
		add(t, j, 1, 1+n%40)
		fmt.Println(j.Last())
		if last := j.Last(); last > 2000 {
			if err := j.Trim(last - 1000); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	acked, trimmed := uint64(0), uint64(0)
	for range 20 {
		acked = appendAndDie(t, dir, 1+rand.IntN(60), acked)
		trimmed = max(trimmed, max(acked, 1000)-1000) // at most: the child trims after it prints
		j := open(t, dir, childOptions)
		if j.Last() < acked || j.First() > trimmed+1 {
			t.Fatalf("it has %d to %d; acknowledged %d, trimmed %d", j.First(), j.Last(), acked, trimmed)
		}
		verify(t, j, j.First(), j.Last())
		acked = j.Last()
		j.Close()
	}
	t.Logf("20 processes killed, %d records", acked)
}

// appendAndDie kills a child after so many lines and returns the last Last it told.
func appendAndDie(t *testing.T, dir string, lines int, acked uint64) uint64 {
	t.Helper()
	cmd := child(t, "TestChildAppends", dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for n := 0; in.Scan(); n++ {
		if last, err := strconv.ParseUint(in.Text(), 10, 64); err == nil {
			if last <= acked {
				t.Errorf("the child gave record %d again", last)
			}
			acked = last
		}
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v; want killed", err)
	}
	return acked
}

// TestChildMeetsFileSizeLimit appends through failing writes, which the kernel cuts anywhere.
func TestChildMeetsFileSizeLimit(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("runs in a process of its own")
	}
	signal.Ignore(syscall.SIGXFSZ)
	const limit = 5000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	j := open(t, dir, journal.Options{})
	failed := 0
	for range 300 {
		first := j.Last() + 1
		if _, err := j.Append([][]byte{record(first), record(first + 1), record(first + 2)}); err != nil {
			if failed++; !errors.Is(err, syscall.EFBIG) || j.Last() != first-1 {
				t.Fatalf("Append: %v, Last %d", err, j.Last())
			}
		}
	}
	if failed == 0 {
		t.Fatal("the limit was never met")
	}
	if _, err := j.Append([][]byte{make([]byte, 2*limit)}); !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("a record that fits into no file: %+v", err)
	}
	add(t, j, 1, 1)
	verify(t, j, 1, j.Last())
	fmt.Println("last", j.Last())
	j.Kill()
	os.Exit(0)
}

func TestDiskLimitLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t, "TestChildMeetsFileSizeLimit", dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var last uint64
	if _, err := fmt.Sscanf(strings.TrimSpace(string(out)), "last %d", &last); err != nil {
		t.Fatalf("the child printed %q: %+v", out, err)
	}
	verify(t, open(t, dir, journal.Options{}), 1, last)
}
