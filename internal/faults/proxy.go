package faults

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy is a TCP proxy on loopback that makes a bad network out of a good one.
// Its settings hold for all connections, at once.
type Proxy struct {
	listener net.Listener
	target   func() string
	wg       sync.WaitGroup

	// Delay holds every piece back for so many nanoseconds.
	Delay atomic.Int64
	// Rate, when above 0, is the bytes per second towards the client.
	Rate atomic.Int64
	// BlackHole swallows everything in both directions: the peers see silence.
	BlackHole atomic.Bool
	// Forwarded counts the bytes passed towards clients.
	Forwarded atomic.Int64

	mu     sync.Mutex
	links  map[*link]struct{}
	budget int64 // bytes towards clients until the next cut; below 0 means none
	closed bool
}

// link is one client's connection and its other half.
type link struct{ client, server net.Conn }

func (l *link) close() { l.client.Close(); l.server.Close() }

// reset closes so that the peers see RST instead of FIN.
func (l *link) reset() {
	for _, c := range []net.Conn{l.client, l.server} {
		if t, ok := c.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		c.Close()
	}
}

// NewProxy listens on loopback and forwards to the address target gives at each connection.
func NewProxy(target func() string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, links: make(map[*link]struct{}), budget: -1}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.CutAll()
	p.wg.Wait()
}

// CutAll closes all connections.
func (p *Proxy) CutAll() {
	for _, l := range p.all() {
		l.close()
	}
}

// ResetAll resets all connections.
func (p *Proxy) ResetAll() {
	for _, l := range p.all() {
		l.reset()
	}
}

// CutAfter cuts all connections once n more bytes have gone towards clients: the
// nth byte still arrives.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	p.budget = n
	p.mu.Unlock()
	if n == 0 {
		p.spend(nil)
	}
}

// Connections returns how many there are.
func (p *Proxy) Connections() int { return len(p.all()) }

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target())
	if err != nil {
		client.Close()
		return
	}
	// Small buffers, or a slow client would not be felt for megabytes; not below a loopback packet (64 KiB), or they crawl.
	server.(*net.TCPConn).SetReadBuffer(128 << 10)
	client.(*net.TCPConn).SetWriteBuffer(128 << 10)
	l := &link{client, server}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		l.close()
		return
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	p.wg.Go(func() { p.pump(server, client, false); l.close() })
	p.pump(client, server, true)
	l.close()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pump copies until either side ends.
func (p *Proxy) pump(to, from net.Conn, down bool) {
	buf := make([]byte, 16<<10)
	for {
		piece := buf
		rate := p.Rate.Load()
		if down && rate > 0 {
			piece = buf[:max(1, min(len(buf), int(rate/20)))] // 20 pieces a second
		}
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		piece = piece[:n]
		if d := p.Delay.Load(); d > 0 {
			time.Sleep(time.Duration(d))
		}
		if down && rate > 0 {
			time.Sleep(time.Duration(int64(n) * int64(time.Second) / rate))
		}
		if p.BlackHole.Load() {
			continue
		}
		cut := false
		if down {
			piece, cut = p.spend(piece)
		}
		if _, err := to.Write(piece); err != nil {
			return
		}
		if down {
			p.Forwarded.Add(int64(len(piece)))
		}
		if cut {
			p.CutAll()
			return
		}
	}
}

// spend takes piece from the budget and says whether it is used up.
func (p *Proxy) spend(piece []byte) ([]byte, bool) {
	p.mu.Lock()
	if p.budget < 0 {
		p.mu.Unlock()
		return piece, false
	}
	n := min(int64(len(piece)), p.budget)
	p.budget -= n
	cut := p.budget == 0
	if cut {
		p.budget = -1
	}
	p.mu.Unlock()
	if cut && piece == nil {
		p.CutAll()
	}
	return piece[:n], cut
}
