/* The floor: the least a server can do to merge poses, with epoll and nothing else. `floor PORT`
   It trusts its clients: whole masked frames, at most 1,024 clients a room and 1,024 rooms. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 8192, ROOMS = 1024, SEATS = 1024, POSE = 64, TICK_NS = 50000000 };

typedef struct {
    int fd, room, seat, greeted;
} Client;

typedef struct {
    char name[64];
    int seats;
    int fd[SEATS];
    uint8_t pose[SEATS][POSE];
    uint8_t size[SEATS];
    uint64_t due;
} Room;

static Client clients[CLIENTS];
static Room rooms[ROOMS];
static int room_count;
static uint8_t frame[SEATS * POSE + 32];

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Frames what stands at frame + 10; where the frame begins. */
static uint8_t *framed(uint8_t first, size_t size, size_t *whole) {
    uint8_t *at = frame + 10;
    if (size < 126) *--at = (uint8_t)size;
    else if (size < 65536) *--at = (uint8_t)size, *--at = (uint8_t)(size >> 8), *--at = 126;
    else {
        for (int i = 0; i < 8; i++) *--at = (uint8_t)(size >> 8 * i);
        *--at = 127;
    }
    *--at = first;
    *whole = size + (size_t)(frame + 10 - at);
    return at;
}

static void to_all(Room *room, uint8_t first, size_t size) {
    size_t whole;
    uint8_t *at = framed(first, size, &whole);
    for (int i = 0; i < room->seats; i++)
        if (send(room->fd[i], at, whole, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) room->size[i] = 0;
}

static void tick(Room *room) {
    uint8_t *at = frame + 18;
    memset(frame + 10, 0, 8);
    frame[10] = 2;
    for (int i = 0; i < room->seats; i++)
        if (room->size[i]) {
            uint16_t head[3] = {(uint16_t)i, 0, (uint16_t)(room->size[i] - 2)};
            memcpy(head + 1, room->pose[i], 2);
            memcpy(at, head, 6);
            memcpy(at + 6, room->pose[i] + 2, head[2]);
            at += 6 + head[2];
            room->size[i] = 0;
        }
    if (at > frame + 18) to_all(room, 0x82, (size_t)(at - frame - 10));
}

static void greet(Client *c, uint8_t *data) {
    char name[64] = "", *answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: vchat.v1\r\n\r\n";
    sscanf((char *)data, "GET /rooms/%63s", name);
    int r = 0;
    while (r < room_count && strcmp(rooms[r].name, name)) r++;
    if (r == room_count) {
        strcpy(rooms[room_count++].name, name);
        rooms[r].due = now_ns() + (uint64_t)rand() % TICK_NS;
    }
    c->room = r;
    c->seat = -1;
    send(c->fd, answer, strlen(answer), MSG_NOSIGNAL);
    c->greeted = 1;
}

static void read_client(Client *c) {
    static uint8_t data[65536];
    ssize_t have = recv(c->fd, data, sizeof data - 1, 0);
    if (have <= 0) {
        close(c->fd);
        return;
    }
    data[have] = 0;
    if (!c->greeted) {
        greet(c, data);
        return;
    }
    Room *room = &rooms[c->room];
    for (uint8_t *at = data; at < data + have;) {
        size_t size = at[1] & 0x7f;
        int text = at[0] == 0x81;
        at += 2;
        if (size == 126) size = (size_t)at[0] << 8 | at[1], at += 2;
        uint8_t *mask = at;
        at += 4;
        for (size_t i = 0; i < size; i++) at[i] ^= mask[i & 3];
        if (!text && size < POSE) {
            memcpy(room->pose[c->seat], at + 2, size - 2);
            room->size[c->seat] = (uint8_t)(size - 2);
        } else if (text && c->greeted == 1) {
            size_t whole;
            c->greeted = 2;
            c->seat = room->seats;
            room->fd[room->seats++] = c->fd;
            memcpy(frame + 10, "{\"type\":\"welcome\"}", 18);
            uint8_t *start = framed(0x81, 18, &whole);
            send(c->fd, start, whole, MSG_NOSIGNAL);
        } else if (text) {
            memcpy(frame + 10, at, size);
            to_all(room, 0x81, size);
        }
        at += size;
    }
}

int main(int argc, char **argv) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[argc - 1]))};
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 1024)) return 1;
    struct epoll_event event = {.events = EPOLLIN}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        uint64_t now = now_ns(), next = now + 1000000000u;
        for (int r = 0; r < room_count; r++) {
            if (rooms[r].due <= now) {
                tick(&rooms[r]);
                while (rooms[r].due <= now) rooms[r].due += TICK_NS;
            }
            if (rooms[r].due < next) next = rooms[r].due;
        }
        struct timespec wait = {.tv_nsec = (long)(next - now) % 1000000000};
        int n = epoll_pwait2(epoll, events, 256, &wait, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                read_client(events[i].data.ptr);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            clients[fd] = (Client){.fd = fd};
            event.data.ptr = &clients[fd];
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
