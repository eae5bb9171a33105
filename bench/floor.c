// About the least that a client can do for a response whose body nobody looks at: what `--discard-body` is to be held against.
//
//     cc -O2 -o floor bench/floor.c && taskset -c 1 ./floor PORT BYTES [CONNECTIONS [SECONDS [WAIT_US [CALLS]]]]
//
// Asks a server on loopback for `/?s=BYTES` over HTTP/1.1 and makes CALLS system calls a response: 3 (one that sends the request,
// one that receives the head, one that throws the body away in the kernel by MSG_TRUNC) or 2 (the head is thrown away too, once
// its length is known). It is told of nothing and waits for nothing: it sleeps, and takes up each connection WAIT_US after its
// request. WAIT_US has to be the time of a response or a little more, for most bodies to be there at the first attempt; "again" in
// the output says how many attempts a response found too little. No load generator can be this: it knows the answer before it comes.
// Prints one JSON object that `duel` and bench/bars.py read. Exit 1 on any error.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum { HEAD = 512, NAP_NS = 200 * 1000 };

struct connection {
    int socket;
    long sent;  // when its request was sent, ns
    long left;  // bytes of the body still to come; -1: the head is still to come
};

static void fail(const char *what) { perror(what); exit(1); }

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static char request[256];

static void ask(struct connection *c, long at) {
    if (send(c->socket, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) fail("send");
    c->sent = at;
    c->left = -1;
}

// What a receive got: 0 if nothing was there.
static long received(struct connection *c, char *to, long length, int flags) {
    ssize_t got = recv(c->socket, to, length, MSG_DONTWAIT | flags);
    if (got > 0) return got;
    if (got == 0) { fprintf(stderr, "floor: the server closed a connection\n"); exit(1); }
    if (errno != EAGAIN) fail("recv");
    return 0;
}

int main(int count, char **words) {
    if (count < 3) { fprintf(stderr, "usage: floor PORT BYTES [CONNECTIONS [SECONDS [WAIT_US [CALLS]]]]\n"); return 1; }
    long bytes = atol(words[2]);
    int connections = count > 3 ? atoi(words[3]) : 64;
    long seconds = count > 4 ? atol(words[4]) : 2;
    long wait = (count > 5 ? atol(words[5]) : 2500) * 1000;
    int whole = count > 6 && atoi(words[6]) == 2;
    snprintf(request, sizeof request, "GET /?s=%ld HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", bytes, words[1]);
    struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(atoi(words[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    prctl(PR_SET_TIMERSLACK, 1);

    long began = now();
    struct connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        int on = 1;
        all[i].socket = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(all[i].socket, (struct sockaddr *)&server, sizeof server)) fail("connect");
        setsockopt(all[i].socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ask(&all[i], now());
    }

    long done = 0, again = 0, head = 0;  // head: length of a head once it is known, all heads being alike
    char text[HEAD + 1];
    for (;;) {
        long at = now();
        if (at - began >= seconds * 1000000000L) break;
        for (int i = 0; i < connections; i++) {
            struct connection *c = &all[i];
            if (at - c->sent < wait) continue;
            if (c->left < 0 && whole && head) c->left = head + bytes;
            if (c->left < 0) {
                long got = received(c, text, HEAD, 0);
                if (!got) { again++; continue; }
                text[got] = 0;
                char *end = strstr(text, "\r\n\r\n");
                if (!end || strncmp(text, "HTTP/1.1 200", 12)) { fprintf(stderr, "floor: not a head of a success:\n%s\n", text); return 1; }
                head = end + 4 - text;
                c->left = bytes - (got - head);
            }
            long got = received(c, text, c->left, MSG_TRUNC);
            if ((c->left -= got) > 0) { again++; continue; }
            done++;
            ask(c, at);
        }
        struct timespec nap = { 0, NAP_NS };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, 0);
    }
    printf("{\"succeeded\": %ld, \"again\": %.2f}\n", done, done ? (double)again / done : 0.0);
    return done ? 0 : 1;
}
