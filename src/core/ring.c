/* SPDX-License-Identifier: Apache-2.0 */
/* How bytes go in and out of a shared ring, round its end, without a lock. */
#include "ring.h"

#include "error.h"

#include <string.h>

void artel_ring_reader_init(struct artel_ring_reader *reader,
                            const struct artel_ring *ring)
{
    *reader = (struct artel_ring_reader){.ring = *ring};
}

void artel_ring_writer_init(struct artel_ring_writer *writer,
                            const struct artel_ring *ring)
{
    *writer = (struct artel_ring_writer){.ring = *ring};
}

ssize_t artel_ring_unread(struct artel_ring_reader *reader)
{
    uint32_t head = atomic_load(&reader->ring.control->head);
    if (head - reader->tail > reader->ring.size) {
        return ARTEL_E_PROTOCOL; /* also when it went back: the difference wraps */
    }
    reader->head = head;
    return (ssize_t)(head - reader->tail);
}

ssize_t artel_ring_room(struct artel_ring_writer *writer)
{
    uint32_t tail = atomic_load(&writer->ring.control->tail);
    if (writer->head - tail > writer->ring.size) {
        return ARTEL_E_PROTOCOL;
    }
    writer->tail = tail;
    return (ssize_t)(writer->ring.size - (writer->head - tail));
}

/* What lies between a position and the end of the bytes; the rest begins at the front. */
static size_t before_end(const struct artel_ring *ring, uint32_t position, size_t len)
{
    size_t left = ring->size - (position & (ring->size - 1));
    return len < left ? len : left;
}

ssize_t artel_ring_read(struct artel_ring_reader *reader, void *into, size_t len)
{
    /* The writer's line is fetched again only when what was seen of it is used up: a
     * look costs a transfer between processors. */
    size_t unread = reader->head - reader->tail;
    if (unread == 0) {
        ssize_t seen = artel_ring_unread(reader);
        if (seen <= 0) {
            return seen;
        }
        unread = (size_t)seen;
    }
    size_t taken = unread < len ? unread : len;
    const struct artel_ring *ring = &reader->ring;
    size_t first = before_end(ring, reader->tail, taken);
    memcpy(into, ring->bytes + (reader->tail & (ring->size - 1)), first);
    memcpy((uint8_t *)into + first, ring->bytes, taken - first);
    reader->tail += (uint32_t)taken;
    atomic_store(&ring->control->tail, reader->tail);
    return (ssize_t)taken;
}

ssize_t artel_ring_write(struct artel_ring_writer *writer, const void *bytes, size_t len)
{
    size_t room = writer->ring.size - (writer->head - writer->tail);
    if (room < len) { /* as above */
        ssize_t seen = artel_ring_room(writer);
        if (seen < 0) {
            return seen;
        }
        room = (size_t)seen;
    }
    size_t put = room < len ? room : len;
    if (put == 0) {
        return 0;
    }
    const struct artel_ring *ring = &writer->ring;
    size_t first = before_end(ring, writer->head, put);
    memcpy(ring->bytes + (writer->head & (ring->size - 1)), bytes, first);
    memcpy(ring->bytes, (const uint8_t *)bytes + first, put - first);
    writer->head += (uint32_t)put;
    atomic_store(&ring->control->head, writer->head);
    return (ssize_t)put;
}
