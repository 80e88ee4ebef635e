// Go with nhooyr.io/websocket, in its own idiom: a goroutine that reads and one that writes for each
// client, with a bounded channel between. `go_nhooyr PORT forward|merge`
package main

import (
	"context"
	"encoding/binary"
	"math/rand"
	"net/http"
	"os"
	"sync"
	"time"

	"nhooyr.io/websocket"
)

const tickEvery = 50 * time.Millisecond

type message struct {
	kind websocket.MessageType
	data []byte
}

type client struct {
	seat uint16
	out  chan message
}

type room struct {
	mu      sync.Mutex
	members map[*client]struct{}
	poses   map[uint16][]byte
}

func (r *room) toAll(m message, but *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		if c != but {
			select {
			case c.out <- m:
			default:
			}
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
			r.toAll(message{websocket.MessageBinary, frame}, nil)
		}
	}
}

var (
	mu    sync.Mutex
	rooms = map[string]*room{}
	seats uint16
	merge = os.Args[2] == "merge"
)

func enter(name string) (*room, *client) {
	mu.Lock()
	defer mu.Unlock()
	r := rooms[name]
	if r == nil {
		r = &room{members: map[*client]struct{}{}, poses: map[uint16][]byte{}}
		rooms[name] = r
		if merge {
			go r.tick()
		}
	}
	seats++
	return r, &client{seats, make(chan message, 64)}
}

func serve(w http.ResponseWriter, q *http.Request) {
	socket, err := websocket.Accept(w, q, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled, Subprotocols: []string{"vchat.v1"},
	})
	if err != nil {
		return
	}
	defer socket.Close(websocket.StatusNormalClosure, "")
	ctx, cancel := context.WithCancel(q.Context())
	defer cancel()
	if _, _, err := socket.Read(ctx); err != nil {
		return
	}
	r, c := enter(q.URL.Path)
	go func() {
		for {
			select {
			case m := <-c.out:
				if socket.Write(ctx, m.kind, m.data) != nil {
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	c.out <- message{websocket.MessageText, []byte(`{"type":"welcome"}`)}
	r.mu.Lock()
	r.members[c] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.members, c)
		r.mu.Unlock()
	}()
	for {
		kind, data, err := socket.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageText {
			r.toAll(message{kind, data}, nil)
		} else if merge {
			r.mu.Lock()
			r.poses[c.seat] = data
			r.mu.Unlock()
		} else {
			r.toAll(message{kind, data}, c)
		}
	}
}

func main() {
	http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(serve))
}
