/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two processes can do without the kernel: 8-byte messages over a pair of rings in
 * shared memory, both sides spinning, never sleeping.
 *
 *   raw_ring [pingpong | stream] [-n 1000000]
 *
 * pingpong: one message at a time. stream: 200 under way.
 */
#include "bench.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 1024u /* a power of two */
#define WINDOW 200u
#define LINE 64 /* bytes of a cache line: each index on its own */
#define SPINS_BEFORE_YIELD 100000u
#define LAST UINT64_MAX /* tells the child to leave */

/* head and tail only grow; head - tail <= SLOTS. */
struct ring {
    _Alignas(LINE) _Atomic uint64_t head; /* written by the producer */
    _Alignas(LINE) _Atomic uint64_t tail; /* written by the consumer */
    _Alignas(LINE) uint64_t slots[SLOTS];
};

static void pause_a_little(unsigned *spins)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
    if (++*spins % SPINS_BEFORE_YIELD == 0) { /* the peer may have lost its processor */
        sched_yield();
    }
}

static void put(struct ring *ring, uint64_t value)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    unsigned spins = 0;
    while (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == SLOTS) {
        pause_a_little(&spins);
    }
    ring->slots[head % SLOTS] = value;
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

static uint64_t take(struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    unsigned spins = 0;
    while (atomic_load_explicit(&ring->head, memory_order_acquire) == tail) {
        pause_a_little(&spins);
    }
    uint64_t value = ring->slots[tail % SLOTS];
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return value;
}

int main(int argc, char *argv[])
{
    uint64_t count = (uint64_t)bench_option(argc, argv, "-n", 1000000);
    bool stream = argc > 1 && strcmp(argv[1], "stream") == 0;
    struct ring *rings = mmap(NULL, 2 * sizeof *rings, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rings == MAP_FAILED) {
        bench_die("mmap");
    }
    pid_t pid = fork();
    if (pid < 0) {
        bench_die("fork");
    }
    if (pid == 0) {
        uint64_t value;
        while ((value = take(&rings[0])) != LAST) {
            put(&rings[1], value);
        }
        _exit(0);
    }
    put(&rings[0], 0); /* the child is up before the clock starts */
    take(&rings[1]);

    uint64_t window = stream ? WINDOW : 1;
    uint64_t sent = 0;
    uint64_t start = bench_now_ns();
    for (uint64_t received = 0; received < count; received++) {
        while (sent < count && sent - received < window) {
            put(&rings[0], sent++);
        }
        if (take(&rings[1]) != received) {
            fprintf(stderr, "message %llu came out of turn\n",
                    (unsigned long long)received);
            exit(1);
        }
    }
    bench_print("ns_per_op", (double)(bench_now_ns() - start) / (double)count);
    put(&rings[0], LAST);
    bench_reap(pid);
    return 0;
}
