/* SPDX-License-Identifier: Apache-2.0 */
/* The ring at each boundary, and between two threads (which ThreadSanitizer watches). */
#include "ring.h"

#include "error.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>

#define SIZE 4096u

static struct artel_ring_control control;
static uint8_t bytes[SIZE];
static struct artel_ring_reader reader;
static struct artel_ring_writer writer;

/* A new ring whose positions stand at `at`. */
static void start(uint32_t at)
{
    memset(&control, 0, sizeof control);
    struct artel_ring ring = {&control, bytes, SIZE};
    artel_ring_reader_init(&reader, &ring);
    artel_ring_writer_init(&writer, &ring);
    reader.head = reader.tail = writer.head = writer.tail = at;
    atomic_store(&control.head, at);
    atomic_store(&control.tail, at);
}

static uint8_t sent[2 * SIZE];
static uint8_t got[2 * SIZE];

static void fill_pattern(uint32_t salt)
{
    for (uint32_t i = 0; i < sizeof sent; i++) {
        sent[i] = (uint8_t)((i + salt) * 2654435761u >> 24);
    }
}

static void an_empty_ring_gives_nothing(void)
{
    start(0);
    CHECK_INT(0, artel_ring_unread(&reader));
    CHECK_INT(0, artel_ring_read(&reader, got, sizeof got));
    CHECK_INT(SIZE, artel_ring_room(&writer));
    CHECK_INT(0, artel_ring_write(&writer, sent, 0));
    CHECK_INT(0, artel_ring_unread(&reader));
}

static void a_full_ring_takes_nothing(void)
{
    start(0);
    fill_pattern(1);
    CHECK_INT(SIZE, artel_ring_write(&writer, sent, SIZE)); /* exactly its size */
    CHECK_INT(0, artel_ring_room(&writer));
    CHECK_INT(0, artel_ring_write(&writer, sent, 1));
    CHECK_INT(SIZE, artel_ring_unread(&reader));
    CHECK_INT(1, artel_ring_read(&reader, got, 1));
    CHECK_INT(1, artel_ring_write(&writer, sent + SIZE, 2)); /* one byte too many */
    CHECK_INT(SIZE - 1, artel_ring_read(&reader, got + 1, sizeof got));
    CHECK_INT(1, artel_ring_read(&reader, got + SIZE, sizeof got));
    CHECK(memcmp(sent, got, SIZE + 1) == 0);
    CHECK_INT(0, artel_ring_read(&reader, got, sizeof got));
}

/* Every length at every distance from the end, also where positions begin anew at 0. */
static void bytes_go_round_the_end_whole(void)
{
    static const uint32_t LENGTHS[] = {1, 2, 9, 100, SIZE - 1, SIZE};
    static const uint32_t BASES[] = {0, 7 * SIZE, 0u - SIZE};
    for (size_t base = 0; base < 3; base++) {
        for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
            for (uint32_t left = 0; left <= 12; left++) { /* wraps within a header too */
                uint32_t len = LENGTHS[i];
                start(BASES[base] + SIZE - left);
                fill_pattern(left);
                CHECK_INT(len, artel_ring_write(&writer, sent, len));
                memset(got, 0, sizeof got);
                uint32_t half = len / 2;
                if (half > 0) {
                    CHECK_INT(half, artel_ring_read(&reader, got, half));
                }
                CHECK_INT(len - half, artel_ring_read(&reader, got + half, sizeof got));
                CHECK(memcmp(sent, got, len) == 0);
                CHECK_INT(0, artel_ring_unread(&reader));
                CHECK_INT(SIZE, artel_ring_room(&writer));
            }
        }
    }
}

/* Whatever the other end claims, we stay inside the ring. */
static void positions_that_cannot_be_are_a_protocol_error(void)
{
    static const uint32_t WRONG[] = {SIZE + 1, 2 * SIZE, 0x7fffffff, 0x80000000};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        start(5);
        atomic_store(&control.head, 5 + WRONG[i]);
        CHECK_INT(ARTEL_E_PROTOCOL, artel_ring_unread(&reader));
        CHECK_INT(ARTEL_E_PROTOCOL, artel_ring_read(&reader, got, sizeof got));
        start(5);
        CHECK_INT(SIZE, artel_ring_write(&writer, sent, SIZE));
        atomic_store(&control.tail, 5 - WRONG[i]); /* behind where it was */
        CHECK_INT(ARTEL_E_PROTOCOL, artel_ring_room(&writer));
        CHECK_INT(ARTEL_E_PROTOCOL, artel_ring_write(&writer, sent, 1));
        atomic_store(&control.tail, 5 + SIZE + WRONG[i]); /* ahead of what was written */
        CHECK_INT(ARTEL_E_PROTOCOL, artel_ring_write(&writer, sent, 1));
    }
    start(5);
    atomic_store(&control.head, 4); /* one byte back */
    CHECK_INT(ARTEL_E_PROTOCOL, artel_ring_read(&reader, got, sizeof got));
}

/* Our own positions are ours: what is written over them in the shared part is not read.
 */
static void own_positions_are_not_taken_from_the_shared_part(void)
{
    start(0);
    fill_pattern(3);
    CHECK_INT(100, artel_ring_write(&writer, sent, 100));
    atomic_store(&control.tail, 50);
    CHECK_INT(100, artel_ring_read(&reader, got, sizeof got));
    CHECK(memcmp(sent, got, 100) == 0);
    atomic_store(&control.head, 7);
    CHECK_INT(100, artel_ring_write(&writer, sent + 100, 100));
    CHECK_INT(100, artel_ring_read(&reader, got, sizeof got));
    CHECK(memcmp(sent + 100, got, 100) == 0);
}

/* ---- two threads ---- */

#define STREAM_LEN (64u * 1024 * 1024 / 16)

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void *write_stream(void *unused)
{
    (void)unused;
    uint8_t block[SIZE + 100];
    uint32_t random = 1;
    for (uint32_t written = 0; written < STREAM_LEN;) {
        uint32_t len = 1 + next_random(&random) % (uint32_t)sizeof block;
        len = len < STREAM_LEN - written ? len : STREAM_LEN - written;
        for (uint32_t i = 0; i < len; i++) {
            block[i] = (uint8_t)((written + i) * 2654435761u >> 24);
        }
        for (uint32_t done = 0; done < len;) {
            ssize_t put = artel_ring_write(&writer, block + done, len - done);
            CHECK(put >= 0);
            done += (uint32_t)put;
            if (put == 0) {
                sched_yield();
            }
        }
        written += len;
    }
    return NULL;
}

static void a_stream_between_two_threads_arrives_whole(void)
{
    start(0u - 3 * SIZE); /* positions pass through 0 on the way */
    pthread_t thread;
    CHECK_INT(0, pthread_create(&thread, NULL, write_stream, NULL));
    uint8_t block[SIZE + 100];
    uint32_t random = 2;
    for (uint32_t read = 0; read < STREAM_LEN;) {
        uint32_t len = 1 + next_random(&random) % (uint32_t)sizeof block;
        ssize_t taken = artel_ring_read(&reader, block, len);
        CHECK(taken >= 0);
        for (uint32_t i = 0; i < (uint32_t)taken; i++) {
            CHECK_INT((uint8_t)((read + i) * 2654435761u >> 24), block[i]);
        }
        read += (uint32_t)taken;
        if (taken == 0) {
            sched_yield();
        }
    }
    CHECK_INT(0, pthread_join(thread, NULL));
    CHECK_INT(0, artel_ring_unread(&reader));
}

int main(void)
{
    RUN(an_empty_ring_gives_nothing);
    RUN(a_full_ring_takes_nothing);
    RUN(bytes_go_round_the_end_whole);
    RUN(positions_that_cannot_be_are_a_protocol_error);
    RUN(own_positions_are_not_taken_from_the_shared_part);
    RUN(a_stream_between_two_threads_arrives_whole);
    return 0;
}
