/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small messages streamed both ways over a socketpair: 200 may be under way, and each is
 * handed to the kernel by a send call of its own, as a program that calls sendMessage
 * once for each message would without a queue. Receiving takes all there is.
 *
 *   raw_stream [-n 500000]
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOW 200

/* Takes in what has arrived, at most a window; answers the count of whole messages. */
static size_t receive(int fd, uint64_t messages[WINDOW], size_t *partial_len)
{
    char *bytes = (char *)messages;
    ssize_t got =
        recv(fd, bytes + *partial_len, WINDOW * sizeof *messages - *partial_len, 0);
    if (got < 0) {
        bench_die("recv");
    }
    size_t len = *partial_len + (size_t)got;
    *partial_len = len % sizeof *messages;
    return len / sizeof *messages;
}

static void keep_partial(uint64_t messages[WINDOW], size_t whole, size_t partial_len)
{
    memmove(messages, messages + whole, partial_len);
}

static void child(void)
{
    uint64_t messages[WINDOW];
    size_t partial_len = 0;
    size_t whole;
    while ((whole = receive(BENCH_CHILD_FD, messages, &partial_len)) > 0 ||
           partial_len > 0) {
        for (size_t i = 0; i < whole; i++) {
            bench_send_all(BENCH_CHILD_FD, &messages[i], sizeof messages[i]);
        }
        keep_partial(messages, whole, partial_len);
    }
}

int main(int argc, char *argv[])
{
    if (argc > 1 && strcmp(argv[1], "child") == 0) {
        child();
        return 0;
    }
    uint64_t count = (uint64_t)bench_option(argc, argv, "-n", 500000);
    pid_t pid;
    int fd = bench_spawn_self("", &pid);
    uint64_t probe = 0; /* the child is up before the clock starts */
    bench_send_all(fd, &probe, sizeof probe);
    bench_recv_all(fd, &probe, sizeof probe);

    uint64_t messages[WINDOW];
    uint64_t sent = 0;
    uint64_t received = 0;
    size_t partial_len = 0;
    uint64_t start = bench_now_ns();
    while (received < count) {
        while (sent < count && sent - received < WINDOW) {
            bench_send_all(fd, &sent, sizeof sent);
            sent++;
        }
        size_t whole = receive(fd, messages, &partial_len);
        for (size_t i = 0; i < whole; i++) {
            if (messages[i] != received++) {
                fprintf(stderr, "message %llu came out of turn\n",
                        (unsigned long long)messages[i]);
                return 1;
            }
        }
        keep_partial(messages, whole, partial_len);
    }
    bench_print("ns_per_op", (double)(bench_now_ns() - start) / (double)count);
    close(fd);
    bench_reap(pid);
    return 0;
}
