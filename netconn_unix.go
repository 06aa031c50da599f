//go:build unix

package chatroom

import (
	"io"
	"net"
	"syscall"
)

// descriptor waits for a socket's input without holding a buffer. Where there is
// none (TLS in the process, net.Pipe), writing goes through the drain goroutine and reading
// through net.Conn.
type descriptor struct {
	conn    syscall.RawConn
	readNow func(fd uintptr) bool // kept, so that waiting allocates nothing
	in      *[]byte               // from readAhead; owned by the reader, like the error
	readErr error
}

// newDescriptor returns nil and noDescriptor for a connection that is not a plain TCP or Unix
// socket: only their Write does nothing beside writing to the descriptor.
func newDescriptor(c net.Conn) (d *descriptor, fd int) {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	fd = noDescriptor
	if raw == nil || err != nil || raw.Control(func(n uintptr) { fd = int(n) }) != nil {
		return nil, noDescriptor
	}
	d = &descriptor{conn: raw}
	d.readNow = d.read
	return d, fd
}

// writeNow writes as much of b as the kernel takes at once: Go's sockets do not block.
//
// It goes to the number itself, past RawConn.Write, whose bookkeeping touches four cache lines
// that are cold in a room of thousands, 0.4 µs a delivery. The number is the
// socket's as long as the caller holds socket.mu and the socket is not dead: nobody but
// cutLocked closes the connection, it holds mu, and it sets dead first.
func writeNow(fd int, b []byte) (int, error) {
	for {
		n, err := sysWrite(fd, b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
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
