package chatroom_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

var kills = flag.Int("kills", 5, "how many times the example is killed")

// TestTheBuiltExample treats examples/minimal as its users do: as a program.
func TestTheBuiltExample(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to end it with")
	}
	binary := filepath.Join(t.TempDir(), "minimal")
	if out, err := exec.Command("go", "build", "-o", binary, "./examples/minimal").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	run := func(name string, f func(*testing.T, string)) {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, binary) })
	}
	run("LosesNothingAckedWhenKilled", func(t *testing.T, binary string) {
		endUnderLoad(t, binary, *kills, os.Kill)
	})
	run("EndsCleanlyWithSIGTERM", func(t *testing.T, binary string) {
		endUnderLoad(t, binary, 1, syscall.SIGTERM)
	})
	run("EndsCleanlyWithSIGINT", func(t *testing.T, binary string) {
		endUnderLoad(t, binary, 1, os.Interrupt)
	})
	run("ReplaysAPlay", replay)
}

// endUnderLoad ends the example while six people talk in two rooms, several
// times, starts it again on the same file and port, and has them go on; in the end
// everything they said is there once.
func endUnderLoad(t *testing.T, binary string, times int, how os.Signal) {
	var talkers []*talker
	for i := range 6 {
		talkers = append(talkers, &talker{
			user: fmt.Sprintf("%s-%d", []string{"ann", "bob", "cid"}[i/2], i), room: []string{"kitchen", "garden"}[i%2],
			window: 4, endless: true,
		})
	}
	file, addr := filepath.Join(t.TempDir(), "chat.db"), "127.0.0.1:0"
	for range times {
		p := startExample(t, binary, addr, file)
		addr = strings.TrimPrefix(p.url, "http://")
		var ends []error
		var all sync.WaitGroup
		first, trigger := count(talkers, 5+rand.Int64N(75))
		talkers[4].late, talkers[5].late = first, first // they come when the new life has begun
		all.Go(func() { ends = liveAll(talkers, p.url, func(*talker) bool { return false }) })
		select {
		case <-trigger:
		case <-time.After(patience):
			t.Error("they do not get to talk")
		}
		p.end(how)
		all.Wait()
		for i, err := range ends {
			checkEnd(t, talkers[i], err, how)
		}
	}

	p := startExample(t, binary, addr, file)
	for _, k := range talkers {
		k.endless, k.late = false, nil
	}
	settle(t, talkers, p.url, (*talker).finished)
	end := map[string]chatroom.Seq{}
	for _, k := range talkers {
		for _, l := range k.lines {
			end[k.room] = max(end[k.room], l.seq)
		}
	}
	settle(t, talkers, p.url, func(k *talker) bool { return k.last >= end[k.room] && !k.more })
	checkRoom(t, p.url, []*talker{talkers[0], talkers[2], talkers[4]})
	checkRoom(t, p.url, []*talker{talkers[1], talkers[3], talkers[5]})
	p.end(syscall.SIGTERM)
	lines, unanswered, duplicates, forgotten, afresh := 0, 0, 0, 0, 0
	for _, k := range talkers {
		lines += len(k.lines)
		unanswered += k.unanswered
		duplicates += k.duplicates
		forgotten += k.forgotten
		afresh += k.afresh
	}
	if how == os.Kill && unanswered == 0 {
		t.Error("nobody was in the middle of sending")
	}
	t.Logf("%d lines; %d sent again, %d of them found stored; %d shown and forgotten; %d joins afresh", lines, unanswered, duplicates, forgotten, afresh)
}

// settle lets talkers live until done, without the server ending them.
func settle(t *testing.T, talkers []*talker, base string, done func(*talker) bool) {
	t.Helper()
	for i, err := range liveAll(talkers, base, done) {
		if err != nil {
			t.Errorf("%s: %+v", talkers[i].user, err)
		}
	}
}

// count has talkers close first at their first ack of all, and nth at the nth.
func count(talkers []*talker, n int64) (first, nth <-chan struct{}) {
	var acks atomic.Int64
	one, many := make(chan struct{}), make(chan struct{})
	for _, k := range talkers {
		k.acked = func() {
			switch acks.Add(1) {
			case 1:
				close(one)
			case n:
				close(many)
			}
		}
	}
	return one, many
}

// checkEnd checks how a talker's connection ended when the example was.
func checkEnd(t *testing.T, k *talker, err error, how os.Signal) {
	t.Helper()
	var ce websocket.CloseError
	switch closed := errors.As(err, &ce); {
	case how == os.Kill && closed:
		t.Errorf("%s was told %v by a killed process", k.user, err)
	case how == os.Kill:
		if strings.Contains(err.Error(), k.user+" in ") { // its own complaint
			t.Error(err)
		}
	case k.absent: // it was still on its way in; others have had acks
	case !k.warned, ce.Code != websocket.StatusGoingAway, !regexp.MustCompile(`^going_away [1-9]\d*$`).MatchString(ce.Reason):
		t.Errorf("%s ended with %v, warned %t", k.user, err, k.warned)
	}
}

// process is the example, running.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	log    *watchedLog
	exited chan struct{}
}

// startExample starts the example and waits until it serves.
func startExample(t *testing.T, binary, addr, file string) *process {
	t.Helper()
	p := &process{t: t, log: &watchedLog{url: make(chan string, 1)}, exited: make(chan struct{})}
	p.cmd = exec.Command(binary, "-addr", addr, "-db", file)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.exited) }() // end and the cleanup wait for it
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.exited })
	select {
	case p.url = <-p.log.url:
	case <-p.exited:
		t.Fatalf("the example does not start:\n%s", p.log)
	case <-time.After(patience):
		t.Fatalf("the example does not say where it is:\n%s", p.log)
	}
	return p
}

// end sends a signal and waits for the process to end, which it does with 0 unless killed.
func (p *process) end(how os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(how); err != nil {
		p.t.Errorf("%v: it had ended before:\n%s", err, p.log)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Errorf("it does not end:\n%s", p.log)
		p.cmd.Process.Kill()
		<-p.exited
	}
	if code := p.cmd.ProcessState.ExitCode(); how != os.Kill && code != 0 {
		p.t.Errorf("exit code %d after %v:\n%s", code, how, p.log)
	}
}

// watchedLog is what the example says; its address goes to url.
type watchedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
	url  chan string
	told bool
}

var served = regexp.MustCompile(`chat at (http://\S+)\n`)

func (l *watchedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if m := served.FindSubmatch(l.text.Bytes()); m != nil && !l.told {
		l.told = true
		l.url <- string(m[1])
	}
	return len(b), nil
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
