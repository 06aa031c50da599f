package peers

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawLimit is what no server that writes a message to each member can beat: one
// thread, one epoll, and for each message one write(2) of a ready frame per
// member. It keeps nothing, checks nothing and loses what a socket does not take.
var rawLimit = Server{
	Name:  "raw limit",
	About: "one thread, one loop of write(2) of a ready frame over all sockets; no chat server at all",
	Serve: func(ln net.Listener, _ Options) (Stats, error) {
		file, err := ln.(*net.TCPListener).File()
		if err != nil {
			return nil, fmt.Errorf("raw listener: %w", err)
		}
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("raw epoll: %w", err)
		}
		listener := int(file.Fd())
		if err := unix.SetNonblock(listener, true); err != nil {
			return nil, fmt.Errorf("raw listener: %w", err)
		}
		r := &rawServer{epoll: epoll, file: file, listener: listener, rooms: map[string][]int{}, conns: map[int]*rawConn{}}
		if err := r.watch(listener); err != nil {
			return nil, err
		}
		go r.run() // lives as long as the process
		return nil, nil
	},
}

type rawConn struct {
	room     string
	upgraded bool
	in       []byte
}

// rawServer is owned by the goroutine of run.
type rawServer struct {
	epoll, listener int
	file            *os.File // keeps listener open
	rooms           map[string][]int
	conns           map[int]*rawConn
	buf             [64 << 10]byte
	frame           []byte
}

func (r *rawServer) watch(fd int) error {
	err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("raw epoll: %w", err)
	}
	return nil
}

func (r *rawServer) run() {
	runtime.LockOSThread()
	var events [128]unix.EpollEvent
	for {
		n, err := unix.EpollWait(r.epoll, events[:], -1)
		if err != nil && err != unix.EINTR {
			panic(err) // the benchmark's process ends, and the run with it
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == r.listener {
				r.accept()
			} else {
				r.read(int(e.Fd))
			}
		}
	}
}

func (r *rawServer) accept() {
	fd, _, err := unix.Accept4(r.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return
	}
	unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_NODELAY, 1)
	r.conns[fd] = &rawConn{}
	if r.watch(fd) != nil {
		r.close(fd)
	}
}

func (r *rawServer) close(fd int) {
	members := r.rooms[r.conns[fd].room]
	for i, other := range members {
		if other == fd {
			members[i] = members[len(members)-1]
			r.rooms[r.conns[fd].room] = members[:len(members)-1]
			break
		}
	}
	delete(r.conns, fd)
	unix.Close(fd)
}

func (r *rawServer) read(fd int) {
	n, err := unix.Read(fd, r.buf[:])
	if n <= 0 {
		if err != unix.EAGAIN && err != unix.EINTR {
			r.close(fd)
		}
		return
	}
	c := r.conns[fd]
	c.in = append(c.in, r.buf[:n]...)
	if !c.upgraded && !r.upgrade(fd, c) {
		return
	}
	for {
		size, ok := unmask(c.in)
		if !ok {
			break
		}
		head := size.head
		if c.in[0]&0x0f == 1 {
			r.broadcast(c.room, c.in[head:head+size.payload])
		}
		c.in = c.in[head+size.payload:]
	}
	if len(c.in) == 0 {
		c.in = nil
	}
}

// upgrade answers the handshake once it is complete.
func (r *rawServer) upgrade(fd int, c *rawConn) bool {
	request, rest, complete := bytes.Cut(c.in, []byte("\r\n\r\n"))
	if !complete {
		return false
	}
	var key string
	for line := range strings.SplitSeq(string(request), "\r\n") {
		if v, found := strings.CutPrefix(line, "Sec-WebSocket-Key: "); found {
			key = v
		}
	}
	_, c.room, _ = strings.Cut(strings.SplitN(string(request), " ", 3)[1], "room=")
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	unix.Write(fd, fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:])))
	c.upgraded, c.in = true, rest
	r.rooms[c.room] = append(r.rooms[c.room], fd)
	return true
}

func (r *rawServer) broadcast(room string, payload []byte) {
	r.frame = append(r.frame[:0], 0x81)
	if len(payload) < 126 {
		r.frame = append(r.frame, byte(len(payload)))
	} else {
		r.frame = binary.BigEndian.AppendUint16(append(r.frame, 126), uint16(len(payload)))
	}
	r.frame = append(r.frame, payload...)
	for _, fd := range r.rooms[room] {
		unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&r.frame[0])), uintptr(len(r.frame)))
	}
}

type frameSize struct{ head, payload int }

// unmask finds the first frame of b and unmasks its payload in place.
func unmask(b []byte) (size frameSize, ok bool) {
	if len(b) < 6 {
		return size, false
	}
	head, n := 6, int(b[1]&0x7f)
	if n == 126 {
		if len(b) < 8 {
			return size, false
		}
		head, n = 8, int(binary.BigEndian.Uint16(b[2:]))
	}
	if len(b) < head+n {
		return size, false
	}
	mask, payload := b[head-4:head], b[head:head+n]
	for i := range payload {
		payload[i] ^= mask[i&3]
	}
	return frameSize{head, n}, true
}
