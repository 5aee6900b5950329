/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own price of a round trip: messages to and from a bare C child over a
 * socketpair, one at a time (ping-pong) or 64 in flight at each of two children (map).
 *
 *   raw_socketpair pingpong [-n 100000] [-s 8]
 *   raw_socketpair map [-n 100000] [--one-by-one]
 *
 * In map both sides hand over all they have in one call: the best that any program can do
 * on a socketpair. With --one-by-one each request and each reply is a send of its own.
 */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHILDREN 2
#define IN_FLIGHT 64

static void child_echoes_each(size_t size)
{
    char *message = bench_alloc(size);
    while (bench_recv_all(BENCH_CHILD_FD, message, size)) {
        bench_send_all(BENCH_CHILD_FD, message, size);
    }
    free(message);
}

static void child_echoes_together(void)
{
    char bytes[IN_FLIGHT * sizeof(uint64_t)];
    ssize_t got;
    while ((got = recv(BENCH_CHILD_FD, bytes, sizeof bytes, 0)) > 0) {
        bench_send_all(BENCH_CHILD_FD, bytes, (size_t)got);
    }
}

static void pingpong(long count, size_t size)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", size);
    pid_t pid;
    int fd = bench_spawn_self(text, &pid);
    char *message = bench_alloc(size);
    memset(message, 'x', size);

    long warm_up = count / 10 + 1;
    uint64_t start = 0;
    for (long i = -warm_up; i < count; i++) {
        if (i == 0) {
            start = bench_now_ns();
        }
        bench_send_all(fd, message, size);
        if (!bench_recv_all(fd, message, size)) {
            bench_die("the child has gone");
        }
    }
    bench_print("ns_per_op", (double)(bench_now_ns() - start) / (double)count);
    free(message);
    close(fd);
    bench_reap(pid);
}

struct lane {
    int fd;
    pid_t pid;
    int outstanding;
    size_t partial_len; /* bytes of the last, incomplete reply in `in` */
    uint64_t in[IN_FLIGHT];
};

/* Gives the lane as many requests as it has room for; answers the next request's number.
 */
static uint64_t refill(struct lane *lane, uint64_t next, uint64_t count, bool together)
{
    uint64_t requests[IN_FLIGHT];
    int taken = 0;
    while (lane->outstanding < IN_FLIGHT && next < count) {
        requests[taken++] = next++;
        lane->outstanding++;
        if (!together) {
            bench_send_all(lane->fd, requests, sizeof *requests);
            taken = 0;
        }
    }
    bench_send_all(lane->fd, requests, (size_t)taken * sizeof *requests);
    return next;
}

/* Puts what has arrived in its place; answers how many replies that were. */
static uint64_t take_replies(struct lane *lane, uint64_t *results)
{
    char *bytes = (char *)lane->in;
    ssize_t got =
        recv(lane->fd, bytes + lane->partial_len, sizeof lane->in - lane->partial_len, 0);
    if (got <= 0) {
        bench_die("recv");
    }
    size_t len = lane->partial_len + (size_t)got;
    size_t replies = len / sizeof *lane->in;
    for (size_t i = 0; i < replies; i++) {
        results[lane->in[i]] = lane->in[i];
    }
    lane->partial_len = len % sizeof *lane->in;
    memmove(bytes, bytes + replies * sizeof *lane->in, lane->partial_len);
    lane->outstanding -= (int)replies;
    return replies;
}

static void map(uint64_t count, bool together)
{
    struct lane lanes[CHILDREN];
    struct pollfd polls[CHILDREN];
    uint64_t *results = bench_alloc(count * sizeof *results);
    memset(results, 0, count * sizeof *results);
    for (int i = 0; i < CHILDREN; i++) {
        lanes[i].fd = bench_spawn_self(together ? "together" : "8", &lanes[i].pid);
        lanes[i].outstanding = 0;
        lanes[i].partial_len = 0;
        polls[i] = (struct pollfd){.fd = lanes[i].fd, .events = POLLIN};
    }
    uint64_t probe = 0; /* both are up before the clock starts */
    for (int i = 0; i < CHILDREN; i++) {
        bench_send_all(lanes[i].fd, &probe, sizeof probe);
        bench_recv_all(lanes[i].fd, &probe, sizeof probe);
    }

    uint64_t start = bench_now_ns();
    uint64_t next = 0;
    uint64_t done = 0;
    for (int i = 0; i < CHILDREN; i++) {
        next = refill(&lanes[i], next, count, together);
    }
    while (done < count) {
        if (poll(polls, CHILDREN, -1) < 0 && errno != EINTR) {
            bench_die("poll");
        }
        for (int i = 0; i < CHILDREN; i++) {
            if (polls[i].revents != 0) {
                done += take_replies(&lanes[i], results);
                next = refill(&lanes[i], next, count, together);
            }
        }
    }
    bench_print("ns_per_op", (double)(bench_now_ns() - start) / (double)count);
    for (uint64_t i = 0; i < count; i++) {
        if (results[i] != i) {
            fprintf(stderr, "result %llu is missing\n", (unsigned long long)i);
            exit(1);
        }
    }
    free(results);
    for (int i = 0; i < CHILDREN; i++) {
        close(lanes[i].fd);
        bench_reap(lanes[i].pid);
    }
}

int main(int argc, char *argv[])
{
    if (argc == 3 && strcmp(argv[1], "child") == 0) {
        if (strcmp(argv[2], "together") == 0) {
            child_echoes_together();
        } else {
            child_echoes_each((size_t)strtoul(argv[2], NULL, 10));
        }
        return 0;
    }
    long count = bench_option(argc, argv, "-n", 100000);
    if (argc > 1 && strcmp(argv[1], "map") == 0) {
        map((uint64_t)count, !bench_flag(argc, argv, "--one-by-one"));
    } else {
        pingpong(count, (size_t)bench_option(argc, argv, "-s", 8));
    }
    return 0;
}
