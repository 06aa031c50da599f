//go:build unix

package chatroom

import (
	"net"
	"syscall"
)

// rawWriter writes to a descriptor without ever waiting. The zero value stands
// for a connection without one (TLS in the process, net.Pipe): it takes nothing,
// so that everything goes through the drain goroutine.
type rawWriter struct {
	conn syscall.RawConn
	call func(fd uintptr) bool // once, kept for the life of the connection: no allocation per write
	args *rawArgs
}

type rawArgs struct {
	b   []byte
	n   int
	err error
}

func newRawWriter(c net.Conn) rawWriter {
	raw := rawConn(c)
	if raw == nil {
		return rawWriter{}
	}
	a := &rawArgs{}
	return rawWriter{conn: raw, args: a, call: a.write}
}

// write is called by RawConn.Write; true means: do not wait for the socket.
func (a *rawArgs) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), a.b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			a.n, a.err = 0, nil
		default:
			a.n, a.err = max(n, 0), err
		}
		return true
	}
}

// try writes as much of b as the kernel takes at once. Callers take turns.
func (w rawWriter) try(b []byte) (int, error) {
	if w.conn == nil {
		return 0, nil
	}
	w.args.b = b
	err := w.conn.Write(w.call)
	w.args.b = nil
	if err == nil {
		err = w.args.err
	}
	return w.args.n, err
}

// rawConn returns the descriptor of c where writing to it directly is the same
// as c.Write: only for the two types whose Write does nothing else.
func rawConn(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}
