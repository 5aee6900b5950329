/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the frame reader in both encodings: what it finds must lie inside the input, and
 * must not depend on how the bytes are cut. The first byte of the input chooses the
 * encoding, the limit, and how many bytes come at a time.
 */
#include "frame.h"

#include "error.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ALL_KINDS ((1u << ARTEL_FRAME_KINDS) - 1)

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

struct position {
    struct artel_frame_reader reader;
    const uint8_t *data;
    size_t len;
    size_t start;    /* where the last frame ended */
    size_t received; /* bytes that have come */
    size_t portion;  /* that come at a time */
};

static void require_inside(const struct position *position,
                           const struct artel_frame *frame)
{
    size_t received = position->received - position->start;
    const uint8_t *begin = position->data + position->start;
    require(frame->total_len > 0 && frame->total_len <= received);
    require(frame->kind < ARTEL_FRAME_KINDS);
    if (frame->body != NULL) {
        require(frame->body >= begin && frame->body_len <= frame->total_len);
        require((size_t)(frame->body - begin) <= frame->total_len - frame->body_len);
    }
}

/* The next frame, or the end: 1, or a code; at the end of all bytes 0. */
static int advance(struct position *position, struct artel_frame *frame)
{
    for (;;) {
        bool at_end = position->received == position->len;
        int found =
            artel_frame_reader_next(&position->reader, position->data + position->start,
                                    position->received - position->start, at_end, frame);
        if (found == 1) {
            require_inside(position, frame);
            position->start += frame->total_len;
            return 1;
        }
        if (found < 0 || at_end) {
            return found;
        }
        size_t left = position->len - position->received;
        position->received += position->portion < left ? position->portion : left;
    }
}

static void require_same(const struct artel_frame *whole, const struct artel_frame *cut)
{
    require(whole->kind == cut->kind && whole->id == cut->id);
    require(whole->total_len == cut->total_len && whole->body_len == cut->body_len);
    require(whole->body == cut->body);
}

static void start(struct position *position, const uint8_t *data, size_t len,
                  enum artel_encoding encoding, size_t max_len)
{
    memset(position, 0, sizeof *position);
    artel_frame_reader_init(&position->reader, encoding, max_len, ALL_KINDS);
    position->data = data;
    position->len = len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum artel_encoding encoding = data[0] & 1 ? ARTEL_JSON : ARTEL_MSGPACK;
    size_t max_len = data[0] & 2 ? 64 : (size_t)1 << 20;
    size_t len = size - 1;
    uint8_t *copy = malloc(len > 0 ? len : 1); /* the sanitizer sees its end */
    require(copy != NULL);
    memcpy(copy, data + 1, len);
    struct position whole;
    struct position cut;
    start(&whole, copy, len, encoding, max_len);
    whole.received = len;
    start(&cut, copy, len, encoding, max_len);
    cut.portion = (size_t)(data[0] >> 2) % 7 + 1;
    int found;
    do {
        struct artel_frame frame = {0};
        struct artel_frame same = {0};
        found = advance(&whole, &frame);
        int found_cut = advance(&cut, &same);
        require(found_cut == found);
        if (found == 1) {
            require_same(&frame, &same);
        }
    } while (found == 1);
    if (found < 0) { /* sticks */
        struct artel_frame frame;
        require(advance(&whole, &frame) == found);
    }
    free(copy);
    return 0;
}
