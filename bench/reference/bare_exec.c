/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a process as short as the system allows: posix_spawn of a dynamically
 * linked C program (bare_answer) that answers one byte and exits, waited for.
 *
 *   bare_exec [-n 200]
 */
#include "bench.h"

#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    long count = bench_option(argc, argv, "-n", 200);
    const char *program = bench_beside("bare_answer");
    const char *const arguments[] = {"bare_answer", NULL};

    uint64_t start = 0;
    for (long i = -5; i < count; i++) { /* a few to warm the page cache */
        if (i == 0) {
            start = bench_now_ns();
        }
        pid_t pid;
        int fd = bench_spawn(program, arguments, &pid);
        char answer;
        if (!bench_recv_all(fd, &answer, sizeof answer)) {
            bench_die("no answer");
        }
        bench_reap(pid);
        close(fd);
    }
    bench_print("ns_per_op", (double)(bench_now_ns() - start) / (double)count);
    return 0;
}
