/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large blob there and back over a socketpair. Each side receives into a buffer that it
 * keeps and copies the blob into a fresh block, as a Lua program must: a string it is
 * given is a copy that the collector owns.
 *
 *   raw_copy [-n 20] [-s 16777216]
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Receives one blob through the kept buffer; answers a fresh block, NULL at the end. */
static char *receive_copy(int fd, char *kept, size_t size)
{
    if (!bench_recv_all(fd, kept, size)) {
        return NULL;
    }
    char *fresh = bench_alloc(size);
    memcpy(fresh, kept, size);
    return fresh;
}

static void child(size_t size)
{
    char *kept = bench_alloc(size);
    char *blob;
    while ((blob = receive_copy(BENCH_CHILD_FD, kept, size)) != NULL) {
        bench_send_all(BENCH_CHILD_FD, blob, size);
        free(blob);
    }
    free(kept);
}

int main(int argc, char *argv[])
{
    if (argc == 3 && strcmp(argv[1], "child") == 0) {
        child((size_t)strtoul(argv[2], NULL, 10));
        return 0;
    }
    long count = bench_option(argc, argv, "-n", 20);
    size_t size = (size_t)bench_option(argc, argv, "-s", 16 * 1024 * 1024);
    char text[32];
    snprintf(text, sizeof text, "%zu", size);
    pid_t pid;
    int fd = bench_spawn_self(text, &pid);
    char *kept = bench_alloc(size);
    char *blob = bench_alloc(size);
    memset(blob, 'x', size);

    uint64_t start = 0;
    for (long i = -2; i < count; i++) { /* twice to touch the pages */
        if (i == 0) {
            start = bench_now_ns();
        }
        bench_send_all(fd, blob, size);
        free(blob);
        blob = receive_copy(fd, kept, size);
        if (blob == NULL) {
            bench_die("the child has gone");
        }
    }
    double seconds = (double)(bench_now_ns() - start) / 1e9;
    double mebibytes = (double)size / (1024.0 * 1024.0) * 2.0; /* there and back */
    bench_print("mib_per_second", mebibytes * (double)count / seconds);
    bench_print("ns_per_op", seconds * 1e9 / (double)count);
    free(blob);
    free(kept);
    close(fd);
    bench_reap(pid);
    return 0;
}
