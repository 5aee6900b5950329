/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes both ends of a shared ring against a peer that scribbles. The input is a script:
 * what we do at our end, and what the peer writes into the control words and the bytes
 * meanwhile. "Meanwhile" is meant: the sources are compiled in here with every look at a
 * shared word preceded by a move of the peer, so it strikes between any two looks.
 *
 * Whatever it does, we never leave the ring's bytes (they and the control words are
 * blocks of the heap, whose ends the sanitizer knows), never answer what cannot be, and
 * do not spin: once it stops, we come to a sleep, the end, or an error within a few
 * rounds.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

static void let_peer_move(void);
#undef atomic_load
#undef atomic_exchange
#define atomic_load(at) (let_peer_move(), atomic_load_explicit(at, memory_order_seq_cst))
#define atomic_exchange(at, to)                                                          \
    (let_peer_move(), atomic_exchange_explicit(at, to, memory_order_seq_cst))
/* NOLINTBEGIN(bugprone-suspicious-include): only so can their looks be intercepted */
#include "doorbell.c"
#include "ring.c"
#include "shared_transport.c"
/* NOLINTEND(bugprone-suspicious-include) */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE ARTEL_RING_SIZE_MIN
#define LEN_MAX (2 * SIZE)
#define WORDS 6

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* ---- the script ---- */

static const uint8_t *script;
static const uint8_t *script_end;

static uint32_t take_byte(void)
{
    return script < script_end ? *script++ : 0;
}

/* Mostly near 0 or near the size of the ring: there the edges are. */
static uint32_t take_number(void)
{
    static const uint32_t NEAR[] = {0, SIZE / 4, SIZE / 2, SIZE, 2 * SIZE, 1u << 31};
    uint32_t kind = take_byte();
    if (kind % 8 < 6) {
        return NEAR[kind % 8] + (kind >> 3) - 16;
    }
    return take_byte() << 24 | take_byte() << 16 | take_byte() << 8 | take_byte();
}

/* ---- the peer ---- */

static struct artel_transport *master;
static struct artel_memory_rings rings;
static int peer_fd = -1;
static uint32_t moves; /* that the peer still has before our next action */

static _Atomic uint32_t *word(const struct artel_ring *ring, uint32_t which)
{
    struct artel_ring_control *control = ring->control;
    _Atomic uint32_t *const ALL[WORDS] = {
        &control->head, &control->closed,        &control->tail,
        &control->gone, &control->reader_sleeps, &control->writer_sleeps};
    return ALL[which % WORDS];
}

static void move_peer(void)
{
    uint32_t what = take_byte();
    const struct artel_ring *ring = what & 1 ? &rings.to_master : &rings.to_worker;
    uint32_t which = what >> 4;
    switch (what >> 1 & 7) {
    case 0: /* anything */
        atomic_store(word(ring, which), take_number());
        break;
    case 1: /* goes on from where it is, or back */
        atomic_fetch_add(word(ring, which), take_number());
        break;
    case 2: /* a flag as it could be */
        atomic_store(word(ring, which), take_byte() & 1);
        break;
    case 3: /* one byte */
        ring->bytes[take_number() & (SIZE - 1)] = (uint8_t)take_byte();
        break;
    case 4: /* rings, asked or not */
        if (peer_fd >= 0) {
            static const char BYTES[16];
            (void)!send(peer_fd, BYTES, which + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        break;
    case 5: /* listens */
        if (peer_fd >= 0) {
            uint8_t scratch[64];
            (void)!recv(peer_fd, scratch, sizeof scratch, MSG_DONTWAIT);
        }
        break;
    case 6: /* hangs up, one time in sixteen */
        if (which == 0) {
            artel_fd_close(&peer_fd);
        }
        break;
    default: /* writes as an honest one does: so much more is there */
        atomic_fetch_add(&ring->control->head, which * SIZE / 16);
        break;
    }
}

static void let_peer_move(void)
{
    if (moves > 0) {
        moves--;
        move_peer();
    }
}

/* ---- we ---- */

/* A block of exactly this size, so that one byte more is found. */
static uint8_t *block_of(size_t len)
{
    uint8_t *block = malloc(len);
    require(block != NULL);
    memset(block, 7, len);
    return block;
}

static ssize_t read_some(size_t len)
{
    uint8_t *block = block_of(len);
    ssize_t got = master->ops->read(master, block, len, false);
    require(got > 0 ? (size_t)got <= len
                    : got == -EAGAIN || got == ARTEL_E_EOF || got == ARTEL_E_PROTOCOL);
    free(block);
    return got;
}

static ssize_t write_some(size_t first, size_t second)
{
    uint8_t *blocks[] = {block_of(first), block_of(second)};
    struct iovec parts[] = {{blocks[0], first}, {blocks[1], second}};
    ssize_t sent = master->ops->writev(master, parts, 2);
    require(sent >= 0 ? (size_t)sent <= first + second
                      : sent == -EPIPE || sent == ARTEL_E_PROTOCOL);
    free(blocks[0]);
    free(blocks[1]);
    return sent;
}

static void act(void)
{
    uint32_t what = take_byte();
    moves = what >> 4;
    uint32_t len = take_number() % LEN_MAX + 1;
    short events;
    switch (what & 7) {
    case 0:
    case 1:
        read_some(len);
        break;
    case 2:
    case 3:
        write_some(len, take_number() % LEN_MAX + 1);
        break;
    case 4:
        master->ops->arm(master, what & 8, true, &events);
        break;
    case 5:
        master->ops->arm(master, true, what & 8, &events);
        break;
    case 6:
        master->watchers = what & 8 ? ARTEL_WATCHER_LOOP : 0;
        break;
    default:
        master->ops->ready(master, true, what & 8);
        break;
    }
}

static bool is_readable(void)
{
    struct pollfd wanted = {.fd = master->fd, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1;
}

/* The peer rests. Whoever waits as artel does finds something, or a reason to end, or
 * sleeps; a full ring is read in eight portions, thousands of bytes of the doorbell in
 * dozens. asks: before each sleep; others just watch the descriptor. */
static void require_rest(bool want_read, bool want_write, bool asks)
{
    static const int ROUNDS_MAX = 1000;
    moves = 0;
    master->watchers = asks ? master->watchers : ARTEL_WATCHER_STREAM;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (want_write || shared_of(master)->bell.for_room.said) {
            ssize_t sent = write_some(SIZE / 4, 1);
            if (sent < 0) {
                return;
            }
        }
        if (want_read || !asks) {
            ssize_t got = read_some(SIZE);
            if (got < 0 && got != -EAGAIN) {
                return;
            }
        }
        short events;
        bool busy = asks && master->ops->arm(master, want_read, want_write, &events);
        if (!busy && !is_readable()) {
            return;
        }
    }
    abort(); /* it spins */
}

static void *zeroed(size_t alignment, size_t len)
{
    void *block = aligned_alloc(alignment, len);
    require(block != NULL);
    return memset(block, 0, len);
}

static struct artel_ring new_ring(void)
{
    size_t control_len = sizeof(struct artel_ring_control);
    return (struct artel_ring){zeroed(ARTEL_RING_LINE, control_len),
                               zeroed(ARTEL_RING_LINE, SIZE), SIZE};
}

static void free_ring(struct artel_ring *ring)
{
    free(ring->control);
    free(ring->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = data;
    script_end = data + size;
    moves = 0;
    _Atomic uint32_t crowd = 0;
    rings = (struct artel_memory_rings){
        .to_worker = new_ring(), .to_master = new_ring(), .crowd = &crowd};
    int ends[2];
    require(artel_fd_pair(ends) == 0);
    peer_fd = ends[1];
    require(artel_shared_transport_new(&master, ends[0], &rings, true) == 0);
    uint32_t wishes = take_byte();
    while (script < script_end) {
        act();
    }
    require_rest(wishes % 3 != 0, wishes % 3 != 1, wishes & 128);
    master->ops->free(master);
    artel_fd_close(&peer_fd);
    free_ring(&rings.to_worker);
    free_ring(&rings.to_master);
    return 0;
}
