package wire_test

import (
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
)

// upgraded answers every request as a server that accepts the upgrade to
// WebSocket and then talks over the connection.
type upgraded struct{ net.Conn }

func (u upgraded) RoundTrip(r *http.Request) (*http.Response, error) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 §1.3
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + guid))
	return &http.Response{
		StatusCode: http.StatusSwitchingProtocols,
		Header: http.Header{
			"Upgrade":              {"websocket"},
			"Connection":           {"Upgrade"},
			"Sec-Websocket-Accept": {base64.StdEncoding.EncodeToString(sum[:])},
		},
		Body: u.Conn,
	}, nil
}
