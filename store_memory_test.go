package chatroom_test

import (
	"testing"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/storetest"
)

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) chatroom.Store { return chatroom.NewMemoryStore() })
}
