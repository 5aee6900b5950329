/* SPDX-License-Identifier: Apache-2.0 */
/* Where one frame ends and what it says, in both encodings. */
#include "frame.h"

#include "error.h"

#include <string.h>

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

void artel_frame_put_header(uint8_t header[ARTEL_FRAME_HEADER_LEN], uint32_t body_len,
                            enum artel_frame_kind kind, uint32_t id)
{
    put_u32(header, body_len);
    header[4] = (uint8_t)kind;
    put_u32(header + 5, id);
}

void artel_frame_reader_init(struct artel_frame_reader *reader,
                             enum artel_encoding encoding, size_t max_len,
                             uint32_t accepts)
{
    *reader = (struct artel_frame_reader){
        .encoding = encoding, .max_len = max_len, .accepts = accepts};
}

static int fail(struct artel_frame_reader *reader, int code)
{
    reader->failed = code;
    return code;
}

static int next_msgpack(struct artel_frame_reader *reader, const uint8_t *data,
                        size_t len, struct artel_frame *frame)
{
    if (len < ARTEL_FRAME_HEADER_LEN) {
        return 0;
    }
    size_t body_len = get_u32(data);
    uint8_t kind = data[4];
    if (kind >= ARTEL_FRAME_KINDS || !(reader->accepts & ARTEL_FRAME_BIT(kind))) {
        return fail(reader, ARTEL_E_PROTOCOL);
    }
    if (body_len > reader->max_len) {
        return fail(reader, ARTEL_E_OVERSIZE);
    }
    if (len - ARTEL_FRAME_HEADER_LEN < body_len) {
        return 0;
    }
    frame->kind = (enum artel_frame_kind)kind;
    frame->id = get_u32(data + 5);
    frame->body = body_len == 0 ? NULL : data + ARTEL_FRAME_HEADER_LEN;
    frame->body_len = body_len;
    frame->total_len = ARTEL_FRAME_HEADER_LEN + body_len;
    return 1;
}

/* An id is a bare unsigned 32-bit integer; false for anything else. */
static bool parse_id(struct artel_json_slice text, uint32_t *id)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *id = (uint32_t)value;
    return value <= UINT32_MAX;
}

static void set_body(struct artel_frame *frame, struct artel_json_slice body)
{
    frame->body = body.data;
    frame->body_len = body.len;
}

static const char WANTS_ID[] = "expected an id from 0 to 4294967295 in a frame's object";
static const char WANTS_BODY[] =
    "expected \"body\" beside \"_request_\" or \"_response_\"";

/* Turns the reserved keys of an object into kind, id and body. NULL, or what should have
 * come. */
static const char *open_envelope(const struct artel_json_envelope *envelope,
                                 struct artel_frame *frame)
{
    if (envelope->stop.data !=
        NULL) { /* an older client may send a query along: stop wins */
        frame->kind = ARTEL_FRAME_STOP;
        set_body(frame, envelope->stop);
        return NULL;
    }
    if (envelope->query.data != NULL) {
        frame->kind = ARTEL_FRAME_QUERY;
        set_body(frame, envelope->query);
        return NULL;
    }
    if (envelope->status.data != NULL) {
        frame->kind = ARTEL_FRAME_STATUS;
        set_body(frame, envelope->status);
        return NULL;
    }
    if (envelope->error.data != NULL) { /* the whole object is the body */
        frame->kind = ARTEL_FRAME_ERROR;
        return parse_id(envelope->error, &frame->id) ? NULL : WANTS_ID;
    }
    if (envelope->cancel.data != NULL) {
        frame->kind = ARTEL_FRAME_CANCEL;
        set_body(frame, (struct artel_json_slice){NULL, 0});
        return parse_id(envelope->cancel, &frame->id) ? NULL : WANTS_ID;
    }
    set_body(frame, envelope->body);
    struct artel_json_slice id = envelope->response;
    frame->kind = ARTEL_FRAME_RESPONSE;
    if (envelope->request.data != NULL) {
        frame->kind = ARTEL_FRAME_REQUEST;
        id = envelope->request;
    }
    if (!parse_id(id, &frame->id)) {
        return WANTS_ID;
    }
    return envelope->body.data != NULL ? NULL : WANTS_BODY;
}

/* How many bytes of white space stand before a JSON text. */
static size_t blank_len(const uint8_t *data, size_t len)
{
    size_t at = 0;
    while (at < len && (data[at] == ' ' || data[at] == '\n' || data[at] == '\r' ||
                        data[at] == '\t')) {
        at++;
    }
    return at;
}

/* What an envelope adds to a body; the limit is on the body. */
#define ENVELOPE_LEN_MAX 64

static int next_json(struct artel_frame_reader *reader, const uint8_t *data, size_t len,
                     bool at_end, struct artel_frame *frame)
{
    size_t used = 0;
    int found = artel_json_scan_feed(&reader->scan, data + reader->scanned,
                                     len - reader->scanned, &used);
    size_t text_len = reader->scanned + used;
    if (found == 0 && at_end && artel_json_scan_complete_at_end(&reader->scan)) {
        found = 1;
    }
    size_t blank = blank_len(data, text_len);
    if (text_len - blank > reader->max_len &&
        text_len - blank - reader->max_len > ENVELOPE_LEN_MAX) {
        return fail(reader, ARTEL_E_OVERSIZE); /* whatever is wrong behind the limit */
    }
    if (found < 0) {
        return fail(reader, found);
    }
    if (found == 0) {
        reader->scanned = text_len;
        return 0;
    }
    reader->scan = (struct artel_json_scan){0};
    reader->scanned = 0;
    frame->kind = ARTEL_FRAME_MESSAGE;
    frame->id = 0;
    frame->body = data + blank;
    frame->body_len = text_len - blank;
    frame->total_len = text_len;
    struct artel_json_envelope envelope;
    if (artel_json_envelope_find(frame->body, frame->body_len, &envelope)) {
        reader->expected = open_envelope(&envelope, frame);
    }
    if (reader->expected != NULL) {
        return fail(reader, ARTEL_E_PROTOCOL);
    }
    if (!(reader->accepts & ARTEL_FRAME_BIT(frame->kind))) {
        return fail(reader, ARTEL_E_PROTOCOL);
    }
    if (frame->body_len > reader->max_len && frame->kind != ARTEL_FRAME_ERROR) {
        return fail(reader, ARTEL_E_OVERSIZE);
    }
    return 1;
}

int artel_frame_reader_next(struct artel_frame_reader *reader, const uint8_t *data,
                            size_t len, bool at_end, struct artel_frame *frame)
{
    if (reader->failed != 0) {
        return reader->failed;
    }
    if (reader->encoding == ARTEL_JSON) {
        return next_json(reader, data, len, at_end, frame);
    }
    return next_msgpack(reader, data, len, frame);
}
