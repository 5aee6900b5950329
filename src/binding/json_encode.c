/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows how each Lua value is written in JSON. Every value is followed by a comma: the
 * bracket that closes its container takes the comma's place, and so does the colon behind
 * a key, so nothing has to know whether it comes first or last.
 */
#include "codec.h"

#include "value_walk.h"

#include "../core/json_bytes.h"
#include "../core/json_text.h"
#include "../core/number_text.h"
#include "../core/utf8.h"

#include <math.h>
#include <string.h>

/* \u0000 */
#define ESCAPE_LEN_MAX 6

static int put_text(struct artel_walk *walk, const char *text, size_t len)
{
    int status = artel_walk_room(walk, len);
    if (status == 0) {
        memcpy(walk->at, text, len);
        walk->at += len;
    }
    return status;
}

static int put_null(struct artel_walk *walk)
{
    return put_text(walk, "null,", 5);
}

static int put_boolean(struct artel_walk *walk, bool value)
{
    return value ? put_text(walk, "true,", 5) : put_text(walk, "false,", 6);
}

static int put_integer(struct artel_walk *walk, lua_Integer value)
{
    int status = artel_walk_room(walk, ARTEL_NUMBER_LEN_MAX + 1);
    if (status == 0) {
        walk->at += artel_number_put_integer(walk->at, value);
        *walk->at++ = ',';
    }
    return status;
}

static int put_number(struct artel_walk *walk, lua_Number value)
{
    if (!isfinite(value)) {
        return artel_walk_refuse(walk, isnan(value) ? "NaN as JSON" : "infinity as JSON");
    }
    int status = artel_walk_room(walk, ARTEL_NUMBER_LEN_MAX + 1);
    if (status == 0) {
        walk->at += artel_number_put_float(walk->at, value);
        *walk->at++ = ',';
    }
    return status;
}

static void put_escape(struct artel_walk *walk, uint8_t byte)
{
    static const char SHORT[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    *walk->at++ = '\\';
    if (byte >= 0x20) { /* a quote or a backslash */
        *walk->at++ = byte;
    } else if (SHORT[byte] != 0) {
        *walk->at++ = (uint8_t)SHORT[byte];
    } else {
        memcpy(walk->at, byte < 0x10 ? "u000" : "u001", 4);
        walk->at[4] = (uint8_t) "0123456789abcdef"[byte & 0x0F];
        walk->at += 5;
    }
}

/* The end of a run of bytes that are written as they are; NULL when they are no UTF-8. */
static const uint8_t *run_end(const uint8_t *at, const uint8_t *end)
{
    for (;;) {
        at = artel_json_skip_plain(at, end, true);
        if (at == end || *at < 0x80) {
            return at;
        }
        size_t len = artel_utf8_sequence_len(at, (size_t)(end - at));
        if (len == 0) {
            return NULL;
        }
        at += len;
    }
}

/* Writes the text in quotes, and a byte behind it. */
static int put_quoted(struct artel_walk *walk, const char *bytes, size_t len, char behind)
{
    const uint8_t *at = (const uint8_t *)bytes;
    const uint8_t *end = at + len;
    int status = artel_walk_room(walk, len + 3);
    if (status < 0) {
        return status;
    }
    *walk->at++ = '"';
    for (;;) {
        const uint8_t *run = at;
        at = run_end(run, end);
        if (at == NULL) {
            return artel_walk_refuse(walk, "a string that is not UTF-8 as JSON");
        }
        memcpy(walk->at, run, (size_t)(at - run));
        walk->at += at - run;
        if (at == end) {
            break;
        }
        status = artel_walk_room(walk, ESCAPE_LEN_MAX + (size_t)(end - at) + 2);
        if (status < 0) {
            return status;
        }
        put_escape(walk, *at++);
    }
    *walk->at++ = '"';
    *walk->at++ = (uint8_t)behind;
    return 0;
}

static int put_string(struct artel_walk *walk, const char *bytes, size_t len)
{
    return put_quoted(walk, bytes, len, ',');
}

static int put_key(struct artel_walk *walk, const char *bytes, size_t len)
{
    return put_quoted(walk, bytes, len, ':');
}

static int put_bracket(struct artel_walk *walk, char bracket)
{
    int status = artel_walk_room(walk, 1);
    if (status == 0) {
        *walk->at++ = (uint8_t)bracket;
    }
    return status;
}

static int close_bracket(struct artel_walk *walk, char bracket)
{
    int status = artel_walk_room(walk, 2);
    if (status < 0) {
        return status;
    }
    if (walk->at[-1] == ',') { /* that of the last element; an opening bracket stays */
        walk->at--;
    }
    *walk->at++ = (uint8_t)bracket;
    *walk->at++ = ',';
    return 0;
}

static int begin_list(struct artel_walk *walk, size_t count)
{
    (void)count;
    return put_bracket(walk, '[');
}

static int end_list(struct artel_walk *walk)
{
    return close_bracket(walk, ']');
}

static int begin_map(struct artel_walk *walk)
{
    return put_bracket(walk, '{');
}

static int end_map(struct artel_walk *walk, size_t begin, size_t count)
{
    (void)begin;
    (void)count;
    return close_bracket(walk, '}');
}

static const struct artel_walk_ops OPS = {
    .null = put_null,
    .boolean = put_boolean,
    .integer = put_integer,
    .number = put_number,
    .string = put_string,
    .text_key = put_key,
    .only_text_keys = true,
    .list_begin = begin_list,
    .list_end = end_list,
    .map_begin = begin_map,
    .map_end = end_map,
    .surplus = 1, /* the comma behind the value as a whole */
};

int artel_json_encode(lua_State *L, int index, struct artel_buffer *out,
                      const struct artel_codec_limits *limits)
{
    return artel_walk_value(L, index, out, &OPS, limits->max_len, ARTEL_JSON_MAX_DEPTH);
}
