//go:build linux || darwin

package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/chatroom-go/chatroom"
)

// childVariable names the environment variable that makes a program a child server.
const childVariable = "CHATROOM_FAULTS_CHILD"

// Child is a server in a process of its own: the running program started again.
// Its main or TestMain must call RunChild first.
type Child struct {
	cmd    *exec.Cmd
	addr   string
	exited chan struct{}
	err    error  // of Wait; set before exited is closed
	last   string // its last line on stdout; likewise
	errors tail
}

// tail keeps the last bytes written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 64<<10 {
		t.b = t.b[len(t.b)-32<<10:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// StartChild starts a child server and waits until it listens. wrap, which may be
// empty, is a command that runs it, such as strace with its arguments.
func StartChild(cfg Config, wrap ...string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	args := append(wrap, self)
	c := &Child{cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childVariable+"="+string(raw))
	c.cmd.Stderr = &c.errors
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := c.cmd.StdinPipe(); err != nil { // it ends with this process; nothing is written to it
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		c.addr, _ = strings.CutPrefix(lines.Text(), "listening ")
	}
	go func() { // ends with the process
		for lines.Scan() {
			c.last = lines.Text()
		}
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	if c.addr == "" {
		<-c.exited
		return nil, fmt.Errorf("the child did not start: %v\n%s", c.err, c.errors.String())
	}
	return c, nil
}

// Addr is where the child listens.
func (c *Child) Addr() string { return c.addr }

// Stderr is the end of what the child wrote there.
func (c *Child) Stderr() string { return c.errors.String() }

// Signal sends a signal to the child and whatever runs it.
func (c *Child) Signal(s syscall.Signal) error { return syscall.Kill(-c.cmd.Process.Pid, s) }

// Kill ends the child as kill -9 does and waits for the end.
func (c *Child) Kill() {
	c.Signal(syscall.SIGKILL)
	<-c.exited
}

// Exited is closed when the child is gone.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Shutdown is what a child said after SIGTERM, once it has exited.
type Shutdown struct {
	Unsaved  int
	Accepted int64
	Stored   int64
	Error    string
	Took     time.Duration
}

// Terminate sends SIGTERM and returns what the child's Shutdown said.
func (c *Child) Terminate() (Shutdown, error) {
	var s Shutdown
	if err := c.Signal(syscall.SIGTERM); err != nil {
		return s, err
	}
	<-c.exited
	if err := json.Unmarshal([]byte(c.last), &s); err != nil {
		return s, fmt.Errorf("the child's last words %q: %w (%v)\n%s", c.last, err, c.err, c.errors.String())
	}
	return s, nil
}

// Figures asks the child for its figures.
func (c *Child) Figures() (f Figures, err error) {
	r, err := http.Get("http://" + c.addr + "/figures")
	if err != nil {
		return f, err
	}
	defer r.Body.Close()
	return f, json.NewDecoder(r.Body).Decode(&f)
}

// RunChild serves and does not return when the program was started by StartChild.
func RunChild() {
	raw := os.Getenv(childVariable)
	if raw == "" {
		return
	}
	os.Unsetenv(childVariable)
	go func() { // ends with the process, and ends that when its parent is gone: nobody else would
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var cfg Config
	err := json.Unmarshal([]byte(raw), &cfg)
	if err == nil {
		err = serveChild(cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveChild(cfg Config) error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if err := cfg.limitProcess(); err != nil {
		return err
	}
	var hung atomic.Bool
	store, closeStore, err := cfg.openStore(&hung)
	if err != nil {
		return err
	}
	srv, err := Serve(cfg.Options(store))
	if err != nil {
		return err
	}
	srv.hung = &hung
	fmt.Println("listening", srv.Addr())
	<-term
	if cfg.Drain == 0 {
		cfg.Drain = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Drain)
	defer cancel()
	began := time.Now()
	var s Shutdown
	if err := srv.Close(ctx); err != nil {
		s.Error = err.Error()
		var unsaved *chatroom.UnsavedError
		if errors.As(err, &unsaved) {
			s.Unsaved = unsaved.Events
		}
	}
	s.Took = time.Since(began)
	stats := srv.Hub.Stats()
	s.Accepted, s.Stored = stats.Accepted, stats.Stored
	if s.Unsaved == 0 {
		if err := closeStore(); err != nil && s.Error == "" {
			s.Error = err.Error()
		}
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

func (c Config) limitProcess() error {
	if c.MemoryLimit > 0 {
		debug.SetMemoryLimit(c.MemoryLimit)
	}
	if c.Files > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: c.Files, Max: c.Files}); err != nil {
			return err
		}
	}
	if c.FileSize > 0 {
		signal.Ignore(syscall.SIGXFSZ) // so that write answers EFBIG
		var was syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			return err
		}
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: c.FileSize, Max: was.Max})
	}
	return nil
}

func (c Config) openStore(hung *atomic.Bool) (chatroom.Store, func() error, error) {
	var inner FullStore = chatroom.NewMemoryStore()
	closeStore := func() error { return nil }
	if c.Store != "" {
		s, err := chatroom.OpenSQLite(c.Store)
		if err != nil {
			return nil, nil, err
		}
		inner, closeStore = s, s.Close
	}
	if c.StoreDelay == 0 && c.StoreHangs == 0 && c.StoreAway == "" {
		return inner, closeStore, nil
	}
	store := Wrap(inner)
	if c.StoreAway != "" {
		store.Set(Away(c.StoreAway))
		return store, closeStore, nil
	}
	var appends atomic.Int64
	store.Set(func(op string, _ int64, _ []chatroom.Event) Outcome {
		if op != "Append" {
			return Outcome{}
		}
		if c.StoreHangs > 0 && appends.Add(1) >= c.StoreHangs {
			hung.Store(true)
			return Outcome{Hang: make(chan struct{})}
		}
		return Outcome{Delay: c.StoreDelay}
	})
	return store, closeStore, nil
}

// Pid is the child's process, where nothing wraps it.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// OpenFiles counts the child's descriptors from outside; 0 where that cannot be told.
func (c *Child) OpenFiles() int {
	dir, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.Pid()))
	if err != nil {
		return 0
	}
	return len(dir)
}
