//go:build !unix

package chatroom

import "net"

// rawWriter takes nothing here, so that everything goes through the drain
// goroutine: the same semantics, one goroutine more while there is something to write.
type rawWriter struct{}

func newRawWriter(net.Conn) rawWriter { return rawWriter{} }

func (rawWriter) try([]byte) (int, error) { return 0, nil }
