//go:build unix

package chatroom

import (
	"io"
	"net"
	"syscall"
)

// descriptor reads and writes a socket in ways net.Conn does not offer: a write
// that never waits, and a wait for input that holds no buffer. Where there is none (TLS in
// the process, net.Pipe), writing goes through the drain goroutine and reading through net.Conn.
type descriptor struct {
	conn syscall.RawConn

	writeNow func(fd uintptr) bool // kept, so that a write allocates nothing
	out      []byte                // guarded by the socket's mu, like the two below
	wrote    int
	writeErr error

	readNow func(fd uintptr) bool
	in      *[]byte // from readAhead; owned by the reader, like the error
	readErr error
}

// newDescriptor returns nil for a connection that is not a plain TCP or Unix
// socket: only their Write does nothing beside writing to the descriptor.
func newDescriptor(c net.Conn) *descriptor {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if raw == nil || err != nil {
		return nil
	}
	d := &descriptor{conn: raw}
	d.writeNow, d.readNow = d.write, d.read
	return d
}

// write is called by RawConn.Write; true means: do not wait for the socket.
func (d *descriptor) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), d.out)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			d.wrote, d.writeErr = 0, nil
		default:
			d.wrote, d.writeErr = max(n, 0), err
		}
		return true
	}
}

// try writes as much of b as the kernel takes at once. Callers take turns.
func (d *descriptor) try(b []byte) (int, error) {
	if d == nil {
		return 0, nil
	}
	d.out = b
	err := d.conn.Write(d.writeNow)
	d.out = nil
	if err == nil {
		err = d.writeErr
	}
	return d.wrote, err
}

// read is called by RawConn.Read; false means: wait for the socket, and call again.
func (d *descriptor) read(fd uintptr) bool {
	buf := readAhead.Get().(*[]byte)
	for {
		n, err := syscall.Read(int(fd), (*buf)[:cap(*buf)])
		switch {
		case err == syscall.EINTR:
			continue
		case n > 0:
			*buf = (*buf)[:n]
			d.in = buf
			return true
		case err == nil:
			err = io.EOF
		}
		readAhead.Put(buf)
		if err == syscall.EAGAIN {
			return false
		}
		d.readErr = err
		return true
	}
}

// await waits for input and returns it in a buffer of readAhead's.
func (d *descriptor) await() (*[]byte, error) {
	if err := d.conn.Read(d.readNow); err != nil {
		return nil, err
	}
	buf, err := d.in, d.readErr
	d.in = nil
	return buf, err
}
