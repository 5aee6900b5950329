/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what a master makes of a status that a worker sends, from the bytes of the
 * frames on: status_fuzz.lua. The first byte of the input chooses the encoding.
 */
#include "lua_fuzz.h"

#include "binding/codec.h"
#include "core/frame.h"

#include <string.h>

/* A status is read whole before it is looked at, so that what is cut does not matter. */
static bool next_status(struct artel_frame_reader *reader, const uint8_t **data,
                        size_t *len, struct artel_frame *frame)
{
    while (artel_frame_reader_next(reader, *data, *len, true, frame) == 1) {
        *data += frame->total_len;
        *len -= frame->total_len;
        if (frame->kind == ARTEL_FRAME_STATUS && frame->body != NULL) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum artel_encoding encoding = data[0] & 1 ? ARTEL_MSGPACK : ARTEL_JSON;
    struct artel_frame_reader reader;
    artel_frame_reader_init(&reader, encoding, (size_t)1 << 20,
                            ARTEL_FRAME_BIT(ARTEL_FRAME_MESSAGE) |
                                ARTEL_FRAME_BIT(ARTEL_FRAME_STATUS));
    size_t len = size - 1;
    uint8_t *copy = malloc(len > 0 ? len : 1); /* the sanitizer sees its end */
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data + 1, len);
    const uint8_t *at = copy;
    struct artel_frame frame;
    while (next_status(&reader, &at, &len, &frame)) {
        lua_State *L = fuzz_start("status");
        const struct artel_codec_limits *limits = &ARTEL_CODEC_DEFAULT_LIMITS;
        int status = encoding == ARTEL_JSON
                         ? artel_json_decode(L, frame.body, frame.body_len, limits)
                         : artel_msgpack_decode(L, frame.body, frame.body_len, limits);
        if (status == 0) {
            fuzz_check(L);
        }
    }
    free(copy);
    return 0;
}
