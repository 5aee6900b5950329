/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: what they are called, their header in msgpack, and the reader that finds whole
 * frames of either encoding in a stream of bytes. Does no input or output.
 */
#ifndef ARTEL_CORE_FRAME_H
#define ARTEL_CORE_FRAME_H

#include "json_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those on the wire (docs/wire.md). */
enum artel_frame_kind {
    ARTEL_FRAME_MESSAGE = 0,
    ARTEL_FRAME_REQUEST = 1,
    ARTEL_FRAME_RESPONSE = 2,
    ARTEL_FRAME_ERROR = 3,
    ARTEL_FRAME_STOP = 4,
    ARTEL_FRAME_QUERY = 5,
    ARTEL_FRAME_STATUS = 6,
    ARTEL_FRAME_READY = 7,
    ARTEL_FRAME_FAILED = 8,
    ARTEL_FRAME_CANCEL = 9,
    ARTEL_FRAME_PROFILE = 10,
    ARTEL_FRAME_KINDS = 11
};

/* Sets of kinds: one bit each. */
#define ARTEL_FRAME_BIT(kind) (1u << (kind))

enum artel_encoding { ARTEL_MSGPACK, ARTEL_JSON };

/* payload length u32, kind u8, id u32, big-endian. */
#define ARTEL_FRAME_HEADER_LEN 9

struct artel_frame {
    enum artel_frame_kind kind;
    uint32_t id;         /* 0 where the kind has none */
    const uint8_t *body; /* one value in the reader's encoding; NULL when it has none */
    size_t body_len;     /* bytes */
    size_t total_len;    /* bytes the frame takes in the stream */
};

void artel_frame_put_header(uint8_t header[ARTEL_FRAME_HEADER_LEN], uint32_t body_len,
                            enum artel_frame_kind kind, uint32_t id);

struct artel_frame_reader {
    enum artel_encoding encoding;
    size_t max_len;       /* longest body accepted, bytes */
    uint32_t accepts;     /* set of kinds that may come in this direction */
    int failed;           /* 0, or the code that every later call answers */
    const char *expected; /* when failed is ARTEL_E_PROTOCOL: what should have come, if
                             more can be told than that it is no frame; else NULL */
    struct artel_json_scan
        scan;       /* JSON only: how far the unfinished text was looked at */
    size_t scanned; /* JSON only: bytes of the input already given to scan */
};

void artel_frame_reader_init(struct artel_frame_reader *reader,
                             enum artel_encoding encoding, size_t max_len,
                             uint32_t accepts);

/*
 * Looks for the oldest frame in bytes that begin where the last frame ended.
 *
 * data, len  everything received and not yet taken; the same bytes, grown, at each call
 *            until a frame was found.
 * at_end     nothing more will come (a last bare JSON number is then complete).
 * frame      borrowed from data.
 *
 * Returns 1 with a frame, 0 when more bytes are needed (frame untouched), or
 * ARTEL_E_OVERSIZE or ARTEL_E_PROTOCOL, which stick: the stream has lost its place.
 * A body is not decoded here, so that it is one value of the encoding is not promised.
 */
int artel_frame_reader_next(struct artel_frame_reader *reader, const uint8_t *data,
                            size_t len, bool at_end, struct artel_frame *frame);

#endif
