package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

type state uint8

const (
	handshaking state = iota // the upgrade was sent
	joining                  // the join was sent
	ready
	closed
)

// conn is one member's connection.
type conn struct {
	fd     int
	room   int32
	state  state
	events uint64 // deliveries seen, over all its connections
	after  int64  // position of the last one, where the protocol has positions
	rest   []byte // the beginning of a frame whose end has not come yet
	parts  []byte // the fragments so far of a message that comes in several
}

// The parts of RFC 6455 that a client of a well-behaved server needs.
const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	opPing         = 9
	opPong         = 10

	finBit   = 0x80
	maskBit  = 0x80
	maxFrame = 1 << 20
)

// maskKey is fixed: what it protects from, a confused proxy, is not here.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// appendFrame appends one masked client frame.
func appendFrame(b []byte, op byte, payload []byte) []byte {
	b = append(b, finBit|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskBit|byte(n))
	case n <= 0xffff:
		b = append(b, maskBit|126, byte(n>>8), byte(n))
	default:
		b = append(b, maskBit|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, maskKey[:]...)
	at := len(b)
	b = append(b, payload...)
	for i := range b[at:] {
		b[at+i] ^= maskKey[i&3]
	}
	return b
}

var errPartial = errors.New("frame is not complete")

// nextFrame splits the first server frame off b. Kind is its first byte: the
// opcode, and finBit in the last fragment of a message.
func nextFrame(b []byte) (kind byte, payload, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, errPartial
	}
	head, n := 2, int(b[1])
	switch {
	case n < 126:
	case n == 126:
		if len(b) < 4 {
			return 0, nil, nil, errPartial
		}
		head, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case n == 127:
		if len(b) < 10 {
			return 0, nil, nil, errPartial
		}
		long := binary.BigEndian.Uint64(b[2:])
		if long > maxFrame {
			return 0, nil, nil, fmt.Errorf("frame of %d bytes", long)
		}
		head, n = 10, int(long)
	default:
		return 0, nil, nil, errors.New("masked frame from a server")
	}
	if b[0]&0x70 != 0 {
		return 0, nil, nil, fmt.Errorf("extended frame, first byte %#x", b[0])
	}
	if len(b) < head+n {
		return 0, nil, nil, errPartial
	}
	return b[0], b[head : head+n], b[head+n:], nil
}

// upgradeReply splits the server's answer to the handshake off b.
func upgradeReply(b []byte) (rest []byte, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, errPartial
	}
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
		return nil, fmt.Errorf("upgrade refused: %.200q", b)
	}
	return b[end+4:], nil
}

// dial connects a non-blocking socket from its own source address, so that the
// 28,000 ports of one address do not bound the number of members.
func dial(server *unix.SockaddrInet4, source byte) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return -1, fmt.Errorf("socket option: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, fmt.Errorf("socket option: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, source}}); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, server); err != nil {
		return -1, fmt.Errorf("connect: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return -1, fmt.Errorf("non-blocking: %w", err)
	}
	return fd, nil
}
