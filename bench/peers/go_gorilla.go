// Go with gorilla/websocket, in its own idiom: a goroutine that reads and one that writes for each
// client, a bounded channel between, and one prepared message for all. `go_gorilla PORT merge`
package main

import (
	"encoding/binary"
	"math/rand"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const tickEvery = 50 * time.Millisecond

type client struct {
	seat uint16
	out  chan *websocket.PreparedMessage
}

type room struct {
	mu      sync.Mutex
	members map[*client]struct{}
	poses   map[uint16][]byte
}

func (r *room) toAll(kind int, data []byte) {
	m, err := websocket.NewPreparedMessage(kind, data)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		select {
		case c.out <- m:
		default:
		}
	}
}

func (r *room) tick() {
	time.Sleep(time.Duration(rand.Int63n(int64(tickEvery))))
	for range time.Tick(tickEvery) {
		r.mu.Lock()
		frame := []byte{2, 0, 0, 0, 0, 0, 0, 0}
		for seat, pose := range r.poses {
			frame = binary.LittleEndian.AppendUint16(frame, seat)
			frame = append(frame, pose[2:4]...)
			frame = binary.LittleEndian.AppendUint16(frame, uint16(len(pose)-4))
			frame = append(frame, pose[4:]...)
			delete(r.poses, seat)
		}
		r.mu.Unlock()
		if len(frame) > 8 {
			r.toAll(websocket.BinaryMessage, frame)
		}
	}
}

var (
	mu       sync.Mutex
	rooms    = map[string]*room{}
	seats    uint16
	upgrader = websocket.Upgrader{Subprotocols: []string{"vchat.v1"}}
)

func enter(name string) (*room, *client) {
	mu.Lock()
	defer mu.Unlock()
	r := rooms[name]
	if r == nil {
		r = &room{members: map[*client]struct{}{}, poses: map[uint16][]byte{}}
		rooms[name] = r
		go r.tick()
	}
	seats++
	return r, &client{seats, make(chan *websocket.PreparedMessage, 64)}
}

func serve(w http.ResponseWriter, q *http.Request) {
	socket, err := upgrader.Upgrade(w, q, nil)
	if err != nil {
		return
	}
	defer socket.Close()
	if _, _, err := socket.ReadMessage(); err != nil {
		return
	}
	r, c := enter(q.URL.Path)
	done := make(chan struct{})
	defer close(done)
	socket.WriteMessage(websocket.TextMessage, []byte(`{"type":"welcome"}`))
	go func() {
		for {
			select {
			case m := <-c.out:
				if socket.WritePreparedMessage(m) != nil {
					socket.Close()
					return
				}
			case <-done:
				return
			}
		}
	}()
	r.mu.Lock()
	r.members[c] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.members, c)
		r.mu.Unlock()
	}()
	for {
		kind, data, err := socket.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage {
			r.toAll(kind, data)
		} else {
			r.mu.Lock()
			r.poses[c.seat] = data
			r.mu.Unlock()
		}
	}
}

func main() {
	http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(serve))
}
