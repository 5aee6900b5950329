/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of bytes in memory that two processes share: one of them writes, the other
 * reads, and neither trusts what the other has written there.
 *
 * Each end keeps its own position in memory of its own and only publishes it; of the
 * other end's position it takes one look at a time and checks it. So whatever is
 * scribbled over the shared part, an end never leaves the ring's bytes: it reads
 * nonsense, or answers ARTEL_E_PROTOCOL.
 *
 * Positions count all bytes ever written or read, modulo 2^32; the place in the ring is
 * the remainder by its size, a power of two.
 *
 * Two orders matter. That who sees a position also sees the bytes before it (or that
 * they have been copied out and may be overwritten): publishing releases, looking
 * acquires. And that nobody sleeps over something to do: there, see doorbell.h,
 * one end stores a position and then looks whether the other sleeps, while that one says
 * that it sleeps and then looks at the position. Release and acquire would let both
 * looks go ahead of both stores; sequentially consistent operations do not. So positions
 * are stored and looked at with memory_order_seq_cst, which includes the first order.
 */
#ifndef ARTEL_CORE_RING_H
#define ARTEL_CORE_RING_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define ARTEL_RING_SIZE_MIN ((uint32_t)4096)
#define ARTEL_RING_SIZE_MAX ((uint32_t)1 << 30)

/* What each end writes lies apart from what the other writes, so that they do not take
 * cache lines from each other; processors fetch lines in pairs. */
#define ARTEL_RING_LINE 128

/* The shared part but for the bytes. All zero: an empty ring that nobody has closed. */
struct artel_ring_control {
    _Alignas(ARTEL_RING_LINE) _Atomic uint32_t head; /* of the writer: bytes written */
    _Atomic uint32_t closed; /* of the writer: nothing follows behind head */
    _Alignas(ARTEL_RING_LINE) _Atomic uint32_t tail; /* of the reader: bytes read */
    _Atomic uint32_t gone; /* of the reader: it will never read again */
    /* Who sleeps says so; who wakes it takes that back. */
    _Alignas(ARTEL_RING_LINE) _Atomic uint32_t reader_sleeps;
    _Alignas(ARTEL_RING_LINE) _Atomic uint32_t writer_sleeps;
};

/* The shared part as one end sees it. size is a power of two within the bounds above. */
struct artel_ring {
    struct artel_ring_control *control;
    uint8_t *bytes;
    uint32_t size;
};

struct artel_ring_reader {
    struct artel_ring ring;
    uint32_t tail; /* our own: what control->tail says is never read */
    uint32_t head; /* the writer's, as last seen; head - tail <= size */
};

struct artel_ring_writer {
    struct artel_ring ring;
    uint32_t head; /* our own: what control->head says is never read */
    uint32_t tail; /* the reader's, as last seen; head - tail <= size */
};

/* Both at the beginning of a ring that nobody has used. */
void artel_ring_reader_init(struct artel_ring_reader *reader,
                            const struct artel_ring *ring);
void artel_ring_writer_init(struct artel_ring_writer *writer,
                            const struct artel_ring *ring);

/* Bytes that are there to be read; ARTEL_E_PROTOCOL when the writer's position cannot
 * be. Looks at the writer's position afresh. */
ssize_t artel_ring_unread(struct artel_ring_reader *reader);

/* Bytes that fit in; ARTEL_E_PROTOCOL when the reader's position cannot be. Looks at the
 * reader's position afresh. */
ssize_t artel_ring_room(struct artel_ring_writer *writer);

/* Copies out what is there, len bytes (at least 1) at most, and frees their place.
 * > 0: so many; 0: the ring is empty; or ARTEL_E_PROTOCOL. */
ssize_t artel_ring_read(struct artel_ring_reader *reader, void *into, size_t len);

/* Copies in what fits, and publishes it. >= 0: so many; or ARTEL_E_PROTOCOL. */
ssize_t artel_ring_write(struct artel_ring_writer *writer, const void *bytes, size_t len);

#endif
