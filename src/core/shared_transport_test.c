/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a shared-memory transport in one process: who is rung when, what the end
 * of a peer looks like, what a liar achieves; and two threads that fall asleep at random.
 */
#include "transport.h"

#include "error.h"
#include "fd.h"
#include "memory_file.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define SIZE ARTEL_RING_SIZE_MIN

static struct artel_transport *master;
static struct artel_transport *worker;
static struct artel_memory_rings peek; /* the test's own look at what they share */

static void start(void)
{
    int ends[2] = {-1, -1};
    int file = -1;
    CHECK_INT(0, artel_fd_pair(ends));
    CHECK_INT(0, artel_memory_file_create(&file, SIZE));
    struct artel_memory_rings rings;
    CHECK_INT(0, artel_memory_rings_map(&rings, file));
    CHECK_INT(0, artel_shared_transport_new(&master, ends[0], &rings, true));
    CHECK_INT(0, artel_memory_rings_map(&rings, file));
    CHECK_INT(0, artel_shared_transport_new(&worker, ends[1], &rings, false));
    CHECK_INT(0, artel_memory_rings_map(&peek, file));
    artel_fd_close(&file);
}

static void end(struct artel_transport **transport)
{
    if (*transport != NULL) {
        (*transport)->ops->free(*transport);
        *transport = NULL;
    }
}

static void stop(void)
{
    end(&master);
    end(&worker);
    artel_memory_rings_unmap(&peek);
}

static ssize_t put(struct artel_transport *transport, const void *bytes, size_t len)
{
    struct iovec part = {(void *)bytes, len};
    return transport->ops->writev(transport, &part, 1);
}

static uint8_t got[4 * SIZE];

static ssize_t take(struct artel_transport *transport)
{
    return transport->ops->read(transport, got, sizeof got, false);
}

static bool arm(struct artel_transport *transport, bool want_read, bool want_write)
{
    short events = 0;
    bool busy = transport->ops->arm(transport, want_read, want_write, &events);
    CHECK(busy || events == POLLIN);
    return busy;
}

/* Bytes that wait at the doorbell. */
static int rings_at(const struct artel_transport *transport)
{
    int count = 0;
    CHECK_INT(0, ioctl(transport->fd, FIONREAD, &count));
    return count;
}

static bool is_readable(const struct artel_transport *transport)
{
    struct pollfd wanted = {.fd = transport->fd, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1;
}

static void bytes_go_both_ways(void)
{
    start();
    CHECK_STR("shared-memory", master->ops->name);
    CHECK_INT(-EAGAIN, take(master));
    struct iovec parts[2] = {{"to the ", 7}, {"worker", 6}};
    CHECK_INT(13, master->ops->writev(master, parts, 2));
    CHECK_INT(13, take(worker));
    CHECK(memcmp(got, "to the worker", 13) == 0);
    CHECK_INT(9, put(worker, "to master", 9));
    CHECK_INT(9, master->ops->read(master, got, sizeof got, true));
    CHECK(memcmp(got, "to master", 9) == 0);
    CHECK_INT(-EAGAIN, take(master));
    CHECK_INT(0, rings_at(master) + rings_at(worker)); /* nobody slept */
    stop();
}

static void a_sleeping_reader_is_rung_once(void)
{
    start();
    CHECK(!arm(worker, true, false));
    put(master, "a", 1);
    put(master, "b", 1);
    CHECK_INT(1, rings_at(worker));
    CHECK_INT(2, take(worker));
    put(master, "c", 1);
    CHECK_INT(1, rings_at(worker));  /* awake now: not rung again */
    CHECK(arm(worker, true, false)); /* something came while it was not looking */
    CHECK_INT(1, take(worker));
    CHECK(!arm(worker, true, false)); /* takes out what was left at the doorbell */
    CHECK_INT(0, rings_at(worker));
    put(master, "d", 1);
    CHECK_INT(1, rings_at(worker));
    stop();
}

static void a_sleeping_writer_is_rung_when_half_is_free(void)
{
    static uint8_t block[2 * SIZE];
    start();
    CHECK_INT(SIZE, put(master, block, sizeof block));
    CHECK_INT(0, put(master, block, 1));
    CHECK(!arm(master, false, true));
    CHECK_INT(SIZE / 2 - 1, worker->ops->read(worker, got, SIZE / 2 - 1, false));
    CHECK(!is_readable(master));
    CHECK_INT(1, worker->ops->read(worker, got, 1, false));
    CHECK(is_readable(master));
    CHECK(arm(master, false, true));
    CHECK_INT(SIZE / 2, put(master, block, sizeof block));
    CHECK_INT(SIZE, take(worker));
    CHECK_INT(-EAGAIN, take(worker));
    stop();
}

/* Whoever waits there must look whether what it has queued has left. */
static void a_loop_is_rung_though_another_has_filled_the_room(void)
{
    static uint8_t block[2 * SIZE];
    start();
    CHECK_INT(SIZE, put(master, block, sizeof block));
    master->loop_awaits_room = true;
    CHECK(!arm(master, false, true));
    CHECK_INT(100, worker->ops->read(worker, got, 100, false)); /* too little to ring */
    CHECK_INT(100, put(master, block, 100));
    CHECK(!is_readable(master));
    CHECK_INT(SIZE, take(worker));
    CHECK(is_readable(master));
    master->loop_awaits_room = false;
    CHECK(!arm(master, true, false));
    CHECK(!is_readable(master)); /* the byte is taken */
    stop();
}

/* As it must be for a loop that knows nothing of us. */
static void a_watched_descriptor_is_readable_while_there_is_input(void)
{
    start();
    worker->watchers = ARTEL_WATCHER_STREAM;
    CHECK(!arm(worker, true, false));
    for (int i = 0; i < 100; i++) {
        CHECK(!is_readable(worker));
        put(master, "abc", 3);
        CHECK(is_readable(worker));
        CHECK_INT(1, worker->ops->read(worker, got, 1, i % 2 == 0));
        CHECK(is_readable(worker)); /* two are left */
        put(master, "d", 1);
        CHECK_INT(3, take(worker));
        CHECK_INT(-EAGAIN, take(worker));
    }
    stop();
}

static void who_waits_for_room_alone_is_not_woken_by_input(void)
{
    static uint8_t block[SIZE];
    start();
    worker->watchers = ARTEL_WATCHER_STREAM;
    CHECK(!arm(worker, true, false));
    put(master, "abc", 3); /* rings, and is left where it is */
    CHECK_INT(SIZE, put(worker, block, SIZE + 1));
    CHECK(!arm(worker, false, true));
    CHECK(!is_readable(worker));
    CHECK_INT(SIZE, take(master));
    CHECK(is_readable(worker));
    CHECK_INT(1, put(worker, block, 1));
    CHECK_INT(3, take(worker));
    CHECK_INT(-EAGAIN, take(worker));
    CHECK(!is_readable(worker)); /* nothing waits for room any more */
    put(master, "d", 1);         /* watched again */
    CHECK(is_readable(worker));
    stop();
}

/* Both ends are in this process, so with the process itself three could look. */
static void who_rests_keeps_nobody_from_looking(void)
{
    cpu_set_t before;
    CHECK_INT(0, sched_getaffinity(0, sizeof before, &before));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
        }
    }
    CHECK_INT(0, sched_setaffinity(0, sizeof one, &one));
    start();
    CHECK(!master->ops->peer_rests(master));
    CHECK(!arm(worker, true, false));
    CHECK(master->ops->peer_rests(master));
    CHECK(!worker->ops->peer_rests(worker));
    CHECK(master->ops->spin(master, 0) == NULL);
    CHECK(master->ops->spin(master, 1) == NULL);
    CHECK(master->ops->spin(master, 2) != NULL);
    CHECK_INT(1, put(master, "x", 1));
    CHECK(!master->ops->peer_rests(master)); /* it was rung */
    stop();
    CHECK_INT(0, sched_setaffinity(0, sizeof before, &before));
}

/* A blocked read takes what it finds at the doorbell, also the byte of the other sleep.
 * It is not to be looked for later, nor another one taken in its place. */
static void a_byte_that_rang_for_room_is_taken_once(void)
{
    static uint8_t block[SIZE];
    start();
    CHECK_INT(SIZE, put(master, block, SIZE + 1));
    CHECK(!arm(master, false, true));
    CHECK_INT(SIZE, take(worker)); /* rings for the room */
    CHECK_INT(1, rings_at(master));
    CHECK_INT(-EAGAIN, master->ops->read(master, got, 1, true));
    CHECK_INT(0, rings_at(master));
    CHECK(!arm(master, true, false));
    CHECK_INT(1, send(worker->fd, "", 1, 0)); /* as who rings for what is said now */
    CHECK(!arm(master, true, false));
    CHECK(is_readable(master));
    stop();
}

/* Whoever watches the descriptor would wake for it for ever. */
static void a_ring_without_room_is_eaten(void)
{
    static uint8_t block[SIZE];
    start();
    master->watchers = ARTEL_WATCHER_STREAM;
    CHECK_INT(SIZE, put(master, block, SIZE + 1));
    CHECK(!arm(master, true, true));
    for (int i = 0; i < 3; i++) {
        atomic_store(&peek.to_worker.control->writer_sleeps, 0);
        CHECK_INT(1, send(worker->fd, "", 1, 0));
        CHECK(is_readable(master));
        CHECK_INT(0, put(master, block, 1));
        CHECK_INT(-EAGAIN, take(master));
        CHECK(!is_readable(master));
    }
    CHECK_INT(SIZE, take(worker)); /* this time there is */
    CHECK(is_readable(master));
    CHECK_INT(1, put(master, block, 1));
    CHECK_INT(-EAGAIN, take(master));
    CHECK(!is_readable(master));
    stop();
}

static void text_at_the_doorbell_is_a_fault(void)
{
    for (int sleeps = 0; sleeps < 2; sleeps++) {
        start();
        CHECK_INT(5, send(master->fd, "print", 5, 0));
        if (sleeps) {
            CHECK_INT(ARTEL_E_PROTOCOL, worker->ops->read(worker, got, 1, true));
        } else {
            CHECK(!arm(worker, true, false));
            CHECK(is_readable(worker));
            CHECK_INT(ARTEL_E_PROTOCOL, take(worker));
        }
        CHECK(arm(worker, true, false));
        CHECK_INT(ARTEL_E_PROTOCOL, take(worker));
        CHECK_INT(ARTEL_E_PROTOCOL, put(worker, "x", 1));
        stop();
    }
}

static void the_end_comes_behind_the_last_byte(void)
{
    for (int held = 0; held < 2;
         held++) { /* also while a grandchild holds the doorbell */
        start();
        CHECK(!arm(worker, true, false));
        put(master, "last", 4);
        int copy = held ? dup(master->fd) : -1;
        end(&master);
        CHECK(is_readable(worker));
        CHECK_INT(4, take(worker));
        CHECK_INT(ARTEL_E_EOF, take(worker));
        CHECK_INT(ARTEL_E_EOF, worker->ops->read(worker, got, 1, true));
        CHECK_INT(-EPIPE, put(worker, "anyone?", 7));
        CHECK(arm(worker, true, false));
        artel_fd_close(&copy);
        stop();
    }
}

/* A process that is killed says nothing in the rings; only its doorbell ends. */
static void a_death_wakes_readers_and_writers(void)
{
    static uint8_t block[SIZE];
    for (int writes = 0; writes < 2; writes++) {
        start();
        put(worker, "last", 4);
        if (writes) {
            CHECK_INT(SIZE, put(master, block, SIZE));
        } else {
            CHECK_INT(4, take(master));
        }
        CHECK(!arm(master, !writes, writes));
        CHECK_INT(0,
                  shutdown(worker->fd, SHUT_RDWR)); /* all that the kernel does for it */
        CHECK(is_readable(master));
        if (writes) {
            CHECK_INT(-EPIPE, put(master, "x", 1));
            CHECK_INT(4, take(master));
        }
        CHECK_INT(ARTEL_E_EOF, take(master));
        stop();
    }
}

static void an_end_is_found_by_who_only_polls(void)
{
    start();
    CHECK_INT(0, shutdown(worker->fd, SHUT_RDWR));
    int reads = 0;
    while (take(master) == -EAGAIN) {
        CHECK(++reads < 100);
    }
    CHECK_INT(ARTEL_E_EOF, take(master));
    stop();
}

static void half_an_end_leaves_the_other_direction(void)
{
    start();
    CHECK(!arm(worker, true, false));
    CHECK_INT(0, master->ops->shutdown_write(master));
    CHECK(is_readable(worker));
    CHECK_INT(ARTEL_E_EOF, take(worker));
    CHECK_INT(6, put(worker, "answer", 6));
    CHECK_INT(6, take(master));
    stop();
}

static void a_liar_ends_its_own_channel(void)
{
    start();
    atomic_store(&peek.to_master.control->head, SIZE + 1);
    CHECK_INT(ARTEL_E_PROTOCOL, take(master));
    CHECK_INT(ARTEL_E_PROTOCOL, put(master, "x", 1)); /* it sticks */
    CHECK_INT(ARTEL_E_PROTOCOL, master->ops->read(master, got, 1, true));
    stop();
    start();
    atomic_store(&peek.to_worker.control->tail, 3 * SIZE);
    CHECK(arm(master, false, true)); /* no sleep over it */
    static uint8_t block[SIZE];
    CHECK_INT(SIZE / 4,
              put(master, block, SIZE / 4)); /* seen only when it is looked at */
    CHECK_INT(ARTEL_E_PROTOCOL, put(master, block, SIZE));
    CHECK_INT(ARTEL_E_PROTOCOL, take(master));
    stop();
    start(); /* says that it sleeps again and again, and never listens */
    for (int i = 0; i < 10000; i++) {
        atomic_store(&peek.to_worker.control->reader_sleeps, 1);
        CHECK_INT(1, put(master, "x", 1));
        CHECK_INT(1, take(worker));
    }
    stop();
}

static void a_forked_copy_tells_nobody(void)
{
    start();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        end(&master);
        _exit(0);
    }
    int status = 0;
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK_INT(0, status);
    CHECK_INT(1, put(master, "x", 1));
    CHECK_INT(1, take(worker));
    CHECK_INT(-EAGAIN, take(worker));
    CHECK_INT(1, put(worker, "y", 1));
    stop();
}

/* ---- two threads that fall asleep at random ---- */

#define STREAM_LEN (4u * 1024 * 1024)

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void rest(uint32_t *random)
{
    uint32_t what = next_random(random) % 64;
    if (what == 0) {
        struct timespec pause = {.tv_nsec = (long)(next_random(random) % 100000)};
        nanosleep(&pause, NULL);
    }
}

static uint8_t byte_at(uint32_t at)
{
    return (uint8_t)(at * 2654435761u >> 24);
}

/* No time-out: a lost wake-up hangs, and the alarm of the test ends it. */
static void *write_stream(void *of)
{
    struct artel_transport *transport = of;
    uint8_t block[3 * SIZE];
    uint32_t random = 1;
    for (uint32_t at = 0; at < STREAM_LEN;) {
        uint32_t len = next_random(&random);
        len = 1 + (len % 8 == 0 ? len / 8 % (uint32_t)sizeof block : len / 8 % 300);
        len = len < STREAM_LEN - at ? len : STREAM_LEN - at;
        for (uint32_t i = 0; i < len; i++) {
            block[i] = byte_at(at + i);
        }
        for (uint32_t done = 0; done < len;) {
            ssize_t sent = put(transport, block + done, len - done);
            CHECK(sent >= 0);
            done += (uint32_t)sent;
            if (sent == 0 && !arm(transport, false, true)) {
                struct pollfd wanted = {.fd = transport->fd, .events = POLLIN};
                CHECK_INT(1, poll(&wanted, 1, -1));
            }
        }
        at += len;
        rest(&random);
    }
    transport->ops->shutdown_write(transport);
    return NULL;
}

static void read_stream(struct artel_transport *transport, bool watched)
{
    uint8_t block[2 * SIZE];
    uint32_t random = 2;
    uint32_t at = 0;
    for (;;) {
        size_t len = 1 + next_random(&random) % sizeof block;
        ssize_t taken = transport->ops->read(transport, block, len, !watched);
        if (taken == ARTEL_E_EOF) {
            break;
        }
        if (taken == -EAGAIN && watched) {
            struct pollfd wanted = {.fd = transport->fd, .events = POLLIN};
            CHECK_INT(1, poll(&wanted, 1, -1));
            continue;
        }
        CHECK(taken > 0 || taken == -EAGAIN);
        for (ssize_t i = 0; i < taken; i++) {
            CHECK_INT(byte_at(at++), block[i]);
        }
        rest(&random);
    }
    CHECK_INT(STREAM_LEN, at);
}

static void no_wake_up_is_lost(void)
{
    for (int watched = 0; watched < 2; watched++) {
        start();
        worker->watchers = watched ? ARTEL_WATCHER_LOOP : 0;
        pthread_t thread;
        CHECK_INT(0, pthread_create(&thread, NULL, write_stream, master));
        read_stream(worker, watched);
        CHECK_INT(0, pthread_join(thread, NULL));
        stop();
    }
}

int main(void)
{
    RUN(bytes_go_both_ways);
    RUN(a_sleeping_reader_is_rung_once);
    RUN(a_sleeping_writer_is_rung_when_half_is_free);
    RUN(a_loop_is_rung_though_another_has_filled_the_room);
    RUN(a_watched_descriptor_is_readable_while_there_is_input);
    RUN(who_waits_for_room_alone_is_not_woken_by_input);
    RUN(who_rests_keeps_nobody_from_looking);
    RUN(a_byte_that_rang_for_room_is_taken_once);
    RUN(a_ring_without_room_is_eaten);
    RUN(text_at_the_doorbell_is_a_fault);
    RUN(the_end_comes_behind_the_last_byte);
    RUN(a_death_wakes_readers_and_writers);
    RUN(an_end_is_found_by_who_only_polls);
    RUN(half_an_end_leaves_the_other_direction);
    RUN(a_liar_ends_its_own_channel);
    RUN(a_forked_copy_tells_nobody);
    RUN(no_wake_up_is_lost);
    return 0;
}
