/* Browsers by the thousand on one core: joins rooms, sends poses or chat, and measures what comes.

   load PORT PID JOINS MODE HZ WARMUP SECONDS

   JOINS   a file with a line "room hello" for each client; hello is sent as the first text frame
   MODE    pose   each client sends a 32-byte pose HZ times a second, at its own phase
           walk   the same as bodies of V-Chat's own format, on paths through a hall of 60 x 60 m
           chat   HZ messages a second altogether, said by the clients of room 1 in turn
           idle   nothing is sent
           sio    chat through Socket.IO: one namespace, everyone in one room
   Prints "joined N" when all are welcomed, then after WARMUP + SECONDS one JSON object. The server's
   CPU is the scheduler's own account (/proc/PID/task/.../schedstat) over the measured seconds. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CLOSED, CONNECTING, UPGRADING, GREETING, READY };
enum { BUCKETS = 200000, BUCKET_NS = 10000, IN_FLIGHT = 32, CHUNK = 1 << 20 };

typedef struct {
    int fd, state;
    uint16_t seq;
    char *room, *hello;
    uint8_t *rest;
    size_t rest_size, rest_room;
    uint64_t last_tick;
    float x, z, dx, dz;
} Client;

typedef struct {
    uint32_t *bucket;
    uint64_t count, most;
} Histogram;

static Client *clients;
static int count, ready, closed_early, epoll, port;
static enum { POSE, WALK, CHAT, IDLE, SIO } mode;
static int measuring;
static uint64_t deliveries, frames, bytes, sent, unsent;
static Histogram latency, gap, lateness;
static uint8_t chunk[CHUNK];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double own_cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU seconds of all threads of a process, and the seconds it waited for a core. */
static void server_cpu(int pid, double *ran, double *waited) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    *ran = *waited = 0;
    DIR *tasks = opendir(path);
    if (!tasks) die(path);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        char stat[400];
        unsigned long long run = 0, wait = 0;
        if (entry->d_name[0] == '.') continue;
        snprintf(stat, sizeof stat, "%s/%s/schedstat", path, entry->d_name);
        FILE *file = fopen(stat, "r");
        if (file && fscanf(file, "%llu %llu", &run, &wait) == 2) {
            *ran += (double)run / 1e9;
            /* The main thread's alone: threads of one process that wait for each other are no neighbours. */
            if (atoi(entry->d_name) == pid) *waited += (double)wait / 1e9;
        }
        if (file) fclose(file);
    }
    closedir(tasks);
}

static void add(Histogram *h, uint64_t ns) {
    uint64_t at = ns / BUCKET_NS;
    h->bucket[at < BUCKETS ? at : BUCKETS - 1]++;
    h->count++;
    if (ns > h->most) h->most = ns;
}

static double quantile(const Histogram *h, double q) {
    uint64_t want = (uint64_t)ceil(q * (double)h->count), seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += h->bucket[i]) >= want && want) return (i + 0.5) * BUCKET_NS / 1e6;
    return 0;
}

static void send_frame(Client *c, uint8_t first, const uint8_t *payload, size_t size) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t frame[4096];
    size_t head = 2;
    if (size > sizeof frame - 8) {
        fprintf(stderr, "load: a message is too long\n");
        exit(1);
    }
    frame[0] = first;
    if (size < 126) {
        frame[1] = (uint8_t)(0x80 | size);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (uint8_t)(size >> 8);
        frame[3] = (uint8_t)size;
        head = 4;
    }
    memcpy(frame + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < size; i++) frame[head + i] = payload[i] ^ mask[i & 3];
    ssize_t n = send(c->fd, frame, head + size, MSG_NOSIGNAL);
    if (n != (ssize_t)(head + size)) unsent++;
}

static void send_text(Client *c, const char *text) {
    send_frame(c, 0x81, (const uint8_t *)text, strlen(text));
}

/* The body: format, 3 bytes, u32 who, u64 when, and as much again. */
static void send_pose(Client *c) {
    uint8_t pose[36] = {1, 0};
    uint32_t who = (uint32_t)(c - clients);
    uint64_t when = now_ns();
    memcpy(pose + 2, &c->seq, 2);
    pose[4] = 200;
    memcpy(pose + 8, &who, 4);
    memcpy(pose + 12, &when, 8);
    c->seq++;
    send_frame(c, 0x82, pose, sizeof pose);
}

/* A full keyframe every 40th time, else a delta: root, then an upper body whose bytes carry who and
   when (a relay does not unpack them), then a lower body. */
static void send_walk(Client *c) {
    uint8_t pose[160] = {1, 0};
    size_t at = 4;
    uint32_t who = (uint32_t)(c - clients);
    uint64_t when = now_ns();
    int keyframe = c->seq % 40 == 0;
    c->x += c->dx / 20, c->z += c->dz / 20;
    if (fabsf(c->x) > 30) c->dx = -c->dx;
    if (fabsf(c->z) > 30) c->dz = -c->dz;
    uint64_t place = (uint64_t)((int)(c->x * 500) + 65536) | (uint64_t)((int)(c->z * 500) + 65536) << 17 |
                     (uint64_t)8192 << 34;
    memcpy(pose + 2, &c->seq, 2);
    pose[at++] = 1;
    pose[at++] = keyframe ? 0x37 : 0x36; /* keyframe, position, rotation, upper, lower */
    if (!keyframe) pose[at++] = (uint8_t)(c->seq % 40);
    memcpy(pose + at, &place, 6);
    at += 10;
    size_t upper = keyframe ? 14 * 4 : 20;
    if (!keyframe) pose[at++] = (uint8_t)upper;
    memcpy(pose + at, &who, 4);
    memcpy(pose + at + 4, &when, 8);
    at += upper;
    size_t lower = keyframe ? 8 * 4 : 12;
    if (!keyframe) pose[at++] = (uint8_t)lower;
    at += lower;
    c->seq++;
    send_frame(c, 0x82, pose, at);
}

static void send_chat(Client *c) {
    char text[200], when[32];
    int digits = snprintf(when, sizeof when, "t=%llu;", (unsigned long long)now_ns());
    memset(text, 'x', sizeof text);
    if (mode == SIO)
        snprintf(text, sizeof text, "42[\"chat\",\"%s%.*s\"]", when, 100 - digits,
                 "----------------------------------------------------------------------------------------------------");
    else
        snprintf(text, sizeof text, "{\"type\":\"chat\",\"id\":\"%td-%u\",\"text\":\"%s%.*s\"}", c - clients,
                 c->seq++, when, 100 - digits,
                 "----------------------------------------------------------------------------------------------------");
    send_text(c, text);
}

static void open_client(Client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect");
    c->state = CONNECTING;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

static void upgrade(Client *c) {
    char request[512];
    char path[128] = "/socket.io/?EIO=4&transport=websocket";
    if (mode != SIO) snprintf(path, sizeof path, "/rooms/%s", c->room);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                        path, port, mode == SIO ? "" : "Sec-WebSocket-Protocol: vchat.v1\r\n");
    if (send(c->fd, request, (size_t)size, MSG_NOSIGNAL) != size) die("send");
    c->state = UPGRADING;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void welcomed(Client *c) {
    c->state = READY;
    ready++;
}

static void on_text(Client *c, const uint8_t *text, size_t size, uint64_t now) {
    if (mode == SIO) {
        if (size && text[0] == '2') send_text(c, "3");
        if (size && text[0] == '0') send_text(c, "40");
        if (size > 1 && text[0] == '4' && text[1] == '0' && c->state == GREETING) welcomed(c);
    } else if (c->state == GREETING) {
        if (size > 14 && !memcmp(text, "{\"type\":\"part\"", 14)) return; /* of a large room's welcome */
        if (!memmem(text, size, "\"welcome\"", 9)) {
            fprintf(stderr, "load: not welcomed: %.*s\n", (int)size, text);
            exit(1);
        }
        welcomed(c);
        return;
    } else if (size < 40 && memmem(text, size, "\"ping\"", 6)) {
        send_text(c, "{\"type\":\"pong\"}");
        return;
    }
    if (!measuring) return;
    const uint8_t *when = memmem(text, size, "\"t=", 3);
    if (when) {
        deliveries++;
        add(&latency, now - strtoull((const char *)when + 3, NULL, 10));
    }
}

static void on_pose(Client *c, const uint8_t *body, size_t size, uint64_t now) {
    uint32_t who;
    uint64_t when;
    size_t at = 4;
    if (body[0] == 1) {
        at = body[1] & 1 ? 12 : 14; /* behind the root, and in a delta behind the upper body's size */
        deliveries++;
        if (size < at + 12 || !(body[1] & 0x10)) return; /* thinned: the time was taken out */
        deliveries--;
    }
    memcpy(&who, body + at, 4);
    if (who == (uint32_t)(c - clients)) return;
    memcpy(&when, body + at + 4, 8);
    deliveries++;
    if (now > when) add(&latency, now - when);
}

static void on_binary(Client *c, const uint8_t *data, size_t size, uint64_t now) {
    if (data[0] == 1) {
        if (measuring) on_pose(c, data + 4, size - 4, now);
        return;
    }
    if (measuring) {
        if (c->last_tick) add(&gap, now - c->last_tick);
        for (size_t at = 8; at + 6 <= size;) {
            uint16_t length;
            memcpy(&length, data + at + 4, 2);
            on_pose(c, data + at + 6, length, now);
            at += 6u + length;
        }
    }
    c->last_tick = now;
}

/* Reads whole frames; how many bytes they were. */
static size_t take_frames(Client *c, const uint8_t *data, size_t have, uint64_t now) {
    size_t at = 0;
    while (have - at >= 2) {
        size_t size = data[at + 1] & 0x7f, head = 2;
        if (size == 126) {
            if (have - at < 4) break;
            size = (size_t)data[at + 2] << 8 | data[at + 3];
            head = 4;
        } else if (size == 127) {
            if (have - at < 10) break;
            size = 0;
            for (int i = 2; i < 10; i++) size = size << 8 | data[at + (size_t)i];
            head = 10;
        }
        if (have - at < head + size) break;
        const uint8_t *payload = data + at + head;
        int opcode = data[at] & 0x0f;
        if (opcode == 1) on_text(c, payload, size, now);
        else if (opcode == 2 && size > 4) on_binary(c, payload, size, now);
        else if (opcode == 9) send_frame(c, 0x8a, payload, size);
        else if (opcode == 8) {
            fprintf(stderr, "load: closed with %d %.*s\n", size > 1 ? payload[0] << 8 | payload[1] : 0,
                    size > 2 ? (int)size - 2 : 0, payload + 2);
            closed_early++;
        }
        if (measuring) frames++;
        at += head + size;
    }
    return at;
}

static void on_readable(Client *c) {
    memcpy(chunk, c->rest, c->rest_size);
    ssize_t got = recv(c->fd, chunk + c->rest_size, CHUNK - c->rest_size - 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        if (c->state != READY) {
            fprintf(stderr, "load: a client was turned away\n");
            exit(1);
        }
        closed_early++;
        epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
        close(c->fd);
        c->state = CLOSED;
        return;
    }
    uint64_t now = now_ns();
    if (measuring) bytes += (uint64_t)got;
    size_t have = c->rest_size + (size_t)got, at = 0;
    chunk[have] = 0;
    if (c->state == UPGRADING) {
        uint8_t *end = memmem(chunk, have, "\r\n\r\n", 4);
        if (end) {
            if (!memmem(chunk, 16, " 101 ", 5)) {
                fprintf(stderr, "load: no upgrade: %.60s\n", chunk);
                exit(1);
            }
            at = (size_t)(end - chunk) + 4;
            c->state = GREETING;
            if (mode != SIO) send_text(c, c->hello);
        }
    }
    if (c->state >= GREETING) at += take_frames(c, chunk + at, have - at, now);
    size_t left = have - at;
    if (left > c->rest_room) {
        c->rest_room = left * 2;
        c->rest = realloc(c->rest, c->rest_room);
        if (!c->rest) die("realloc");
    }
    if (left) memcpy(c->rest, chunk + at, left);
    c->rest_size = left;
}

static void turn(int wait_ms) {
    struct epoll_event events[512];
    int n = epoll_wait(epoll, events, 512, wait_ms);
    for (int i = 0; i < n; i++) {
        Client *c = events[i].data.ptr;
        if (c->state == CONNECTING) upgrade(c);
        else if (c->state != CLOSED) on_readable(c);
    }
}

static void read_joins(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *space = strchr(line, ' ');
        if (!space) continue;
        clients = realloc(clients, sizeof *clients * (size_t)(count + 1));
        *space = 0;
        clients[count++] = (Client){.room = strdup(line), .hello = strdup(space + 1)};
    }
    free(line);
    fclose(file);
}

static void join_all(void) {
    int opened = 0;
    while (ready < count) {
        while (opened < count && opened - ready < IN_FLIGHT) open_client(&clients[opened++]);
        turn(100);
    }
    printf("joined %d\n", count);
    fflush(stdout);
}

int main(int argc, char **argv) {
    static const char *const modes[] = {"pose", "walk", "chat", "idle", "sio"};
    if (argc != 8) {
        fprintf(stderr, "usage: load PORT PID JOINS MODE HZ WARMUP SECONDS\n");
        return 2;
    }
    port = atoi(argv[1]);
    int pid = atoi(argv[2]);
    read_joins(argv[3]);
    for (mode = POSE; strcmp(modes[mode], argv[4]); mode++)
        if (mode == SIO) return 2;
    double hz = atof(argv[5]), warmup = atof(argv[6]), seconds = atof(argv[7]);

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(0);
    latency.bucket = calloc(BUCKETS, 4), gap.bucket = calloc(BUCKETS, 4), lateness.bucket = calloc(BUCKETS, 4);
    join_all();

    /* Clients send in a shuffled order, evenly spread over the period. */
    int *order = malloc(sizeof *order * (size_t)count), speakers = count;
    for (int i = 0; i < count; i++) order[i] = i;
    srand(1);
    for (int i = count - 1; i > 0; i--) {
        int j = rand() % (i + 1), keep = order[i];
        order[i] = order[j], order[j] = keep;
    }
    for (int i = 0; i < count; i++) {
        clients[i].x = (float)(rand() % 6000) / 100 - 30, clients[i].z = (float)(rand() % 6000) / 100 - 30;
        clients[i].dx = (float)(rand() % 200) / 100 - 1, clients[i].dz = (float)(rand() % 200) / 100 - 1;
    }
    double per_s = mode == IDLE ? 0 : mode == CHAT || mode == SIO ? hz : hz * count;
    uint64_t step = per_s > 0 ? (uint64_t)(1e9 / per_s) : UINT64_MAX / 4;
    uint64_t begin = now_ns(), due = begin + step;
    uint64_t from = begin + (uint64_t)(warmup * 1e9), until = from + (uint64_t)(seconds * 1e9);
    double ran[2] = {0}, waited[2] = {0}, own[2] = {0};
    int next = 0;
    for (uint64_t now = begin; now < until; now = now_ns()) {
        if (!measuring && now >= from) {
            server_cpu(pid, &ran[0], &waited[0]);
            own[0] = own_cpu();
            measuring = 1;
        }
        while (due <= now) {
            Client *c = &clients[order[next]];
            next = (next + 1) % speakers;
            if (measuring) sent++, add(&lateness, now - due);
            if (c->state == READY) (mode == POSE ? send_pose : mode == WALK ? send_walk : send_chat)(c);
            due += step;
        }
        turn(1);
    }
    server_cpu(pid, &ran[1], &waited[1]);
    own[1] = own_cpu();
    printf("{\"clients\":%d,\"closed\":%d,\"seconds\":%.3f,\"sent\":%llu,\"unsent\":%llu,\"deliveries\":%llu,"
           "\"frames\":%llu,\"bytes\":%llu,\"cpu_s\":%.4f,\"waited_s\":%.4f,\"own_cpu\":%.3f,"
           "\"late_p99_ms\":%.2f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"gap_p50_ms\":%.2f,\"gap_p99_ms\":%.2f,"
           "\"gap_max_ms\":%.2f}\n",
           count, closed_early, seconds, (unsigned long long)sent, (unsigned long long)unsent,
           (unsigned long long)deliveries, (unsigned long long)frames, (unsigned long long)bytes,
           ran[1] - ran[0], waited[1] - waited[0], (own[1] - own[0]) / seconds, quantile(&lateness, 0.99),
           quantile(&latency, 0.5), quantile(&latency, 0.99), quantile(&gap, 0.5), quantile(&gap, 0.99),
           (double)gap.most / 1e6);
    return 0;
}
