/* SPDX-License-Identifier: Apache-2.0 */
/* Knows when a byte queue moves, when it grows, and by how much. */
#include "buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Small, since a shared worker may hold two of them for each of thousands of peers. */
#define SMALLEST_BLOCK 512

/* Past this, the difference of two pointers into the block would overflow. */
#define LARGEST_BLOCK ((size_t)PTRDIFF_MAX)

void artel_buffer_init(struct artel_buffer *buffer)
{
    *buffer = (struct artel_buffer){NULL, 0, 0, 0};
}

void artel_buffer_fini(struct artel_buffer *buffer)
{
    free(buffer->data);
    artel_buffer_init(buffer);
}

/* Doubling keeps appending linear; a single large request gets just what it asks for. */
static size_t grown_capacity(size_t capacity, size_t needed)
{
    size_t doubled = capacity > LARGEST_BLOCK / 2 ? LARGEST_BLOCK : capacity * 2;
    if (doubled < SMALLEST_BLOCK) {
        doubled = SMALLEST_BLOCK;
    }
    return needed > doubled ? needed : doubled;
}

static int grow(struct artel_buffer *buffer, size_t needed)
{
    size_t used = artel_buffer_len(buffer);
    size_t capacity = grown_capacity(buffer->capacity, needed);
    uint8_t *data;
    if (buffer->start == 0) {
        data = realloc(buffer->data, capacity); /* may move pages instead of bytes */
    } else {
        data = malloc(capacity);
    }
    if (data == NULL) {
        return -ENOMEM;
    }
    if (buffer->start != 0) {
        memcpy(data, artel_buffer_head(buffer), used);
        free(buffer->data);
    }
    buffer->data = data;
    buffer->start = 0;
    buffer->end = used;
    buffer->capacity = capacity;
    return 0;
}

int artel_buffer_reserve(struct artel_buffer *buffer, size_t len)
{
    if (len <= artel_buffer_room(buffer)) {
        return 0;
    }
    size_t used = artel_buffer_len(buffer);
    if (len > LARGEST_BLOCK - used) {
        return -ENOMEM;
    }
    /* Moving is worth it only when at least as much was taken since: else a long queue
     * would be moved again and again for the few bytes gained in front of it. */
    if (used <= buffer->start && used + len <= buffer->capacity) {
        if (used > 0) {
            memmove(buffer->data, artel_buffer_head(buffer), used);
        }
        buffer->start = 0;
        buffer->end = used;
        return 0;
    }
    return grow(buffer, used + len);
}

int artel_buffer_append(struct artel_buffer *buffer, const void *bytes, size_t len)
{
    int status = artel_buffer_reserve(buffer, len);
    if (status < 0 || len == 0) { /* memcpy must not see the NULL of an empty block */
        return status;
    }
    memcpy(artel_buffer_tail(buffer), bytes, len);
    artel_buffer_commit(buffer, len);
    return 0;
}

void artel_buffer_consume(struct artel_buffer *buffer, size_t len)
{
    assert(len <= artel_buffer_len(buffer));
    buffer->start += len;
    if (buffer->start == buffer->end) {
        buffer->start = 0;
        buffer->end = 0;
    }
}

void artel_buffer_trim(struct artel_buffer *buffer, size_t keep)
{
    size_t used = artel_buffer_len(buffer);
    if (buffer->capacity <= keep) {
        return;
    }
    if (used == 0) {
        artel_buffer_fini(buffer);
        return;
    }
    if (buffer->capacity <= SMALLEST_BLOCK || used > buffer->capacity / 4) {
        return;
    }
    memmove(buffer->data, artel_buffer_head(buffer), used);
    buffer->start = 0;
    buffer->end = used;
    uint8_t *data = realloc(buffer->data, used);
    if (data != NULL) { /* else the large one stays */
        buffer->data = data;
        buffer->capacity = used;
    }
}
