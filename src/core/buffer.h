/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of bytes in one block: appended at the tail, taken from the head. It keeps its
 * block for reuse, since touching fresh pages costs more than copying into warm ones.
 */
#ifndef ARTEL_CORE_BUFFER_H
#define ARTEL_CORE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct artel_buffer {
    uint8_t *data;   /* NULL when capacity is 0; owned */
    size_t start;    /* first byte not yet taken; start <= end */
    size_t end;      /* one past the last byte; end <= capacity */
    size_t capacity; /* bytes allocated */
};

void artel_buffer_init(struct artel_buffer *buffer);
void artel_buffer_fini(struct artel_buffer *buffer);

/*
 * Makes room for len more bytes behind the tail, by moving what is queued to the front of
 * the block or by growing it. Pointers into the buffer are void afterwards.
 * 0, or -ENOMEM with the queue as it was (also when the sum would overflow).
 */
int artel_buffer_reserve(struct artel_buffer *buffer, size_t len);

/* Appends a copy; 0 or -ENOMEM. */
int artel_buffer_append(struct artel_buffer *buffer, const void *bytes, size_t len);

/* Takes len bytes (at most the length) from the head. */
void artel_buffer_consume(struct artel_buffer *buffer, size_t len);

/* Gives memory back to the system if the block exceeds keep bytes and the queue is empty,
 * or the block a large one for the little that is queued. Pointers into it are void then.
 */
void artel_buffer_trim(struct artel_buffer *buffer, size_t keep);

static inline size_t artel_buffer_len(const struct artel_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* The oldest byte; valid until the next reserve or append. */
static inline uint8_t *artel_buffer_head(const struct artel_buffer *buffer)
{
    return buffer->data + buffer->start;
}

/* Where the next byte goes; artel_buffer_room() bytes may be written there. */
static inline uint8_t *artel_buffer_tail(const struct artel_buffer *buffer)
{
    return buffer->data + buffer->end;
}

static inline size_t artel_buffer_room(const struct artel_buffer *buffer)
{
    return buffer->capacity - buffer->end;
}

/* Counts len bytes, already written at the tail, in; len <= room. */
static inline void artel_buffer_commit(struct artel_buffer *buffer, size_t len)
{
    buffer->end += len;
}

#endif
