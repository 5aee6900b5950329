/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how each Lua value is written in MessagePack, always in the shortest form but for
 * the head of some maps. */
#include "codec.h"

#include "value_walk.h"

#include "../core/utf8.h"

#include <string.h>

/* The longest head: a type and 8 bytes. */
#define HEAD_LEN_MAX 9

/* The head of a map is written when its keys have been counted. Until then there is room
 * for a 16-bit count; a small map whose contents are short is moved up to a 1-byte head.
 * (Moving long contents would cost more than the 2 bytes are worth.) */
#define MAP_HEAD_LEN 3
#define MAP_LEN_WORTH_MOVING 1024

static void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, (uint16_t)(value >> 16));
    put_u16(at + 2, (uint16_t)value);
}

static void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}

/* Each put_head* writes a type and an operand at the tail, where there is room. */

static void put_head8(struct artel_walk *walk, uint8_t type, uint8_t operand)
{
    walk->at[0] = type;
    walk->at[1] = operand;
    walk->at += 2;
}

static void put_head16(struct artel_walk *walk, uint8_t type, uint16_t operand)
{
    walk->at[0] = type;
    put_u16(walk->at + 1, operand);
    walk->at += 3;
}

static void put_head32(struct artel_walk *walk, uint8_t type, uint32_t operand)
{
    walk->at[0] = type;
    put_u32(walk->at + 1, operand);
    walk->at += 5;
}

static void put_head64(struct artel_walk *walk, uint8_t type, uint64_t operand)
{
    walk->at[0] = type;
    put_u64(walk->at + 1, operand);
    walk->at += 9;
}

static int put_byte(struct artel_walk *walk, uint8_t byte)
{
    int status = artel_walk_room(walk, 1);
    if (status == 0) {
        *walk->at++ = byte;
    }
    return status;
}

static int put_null(struct artel_walk *walk)
{
    return put_byte(walk, 0xC0);
}

static int put_boolean(struct artel_walk *walk, bool value)
{
    return put_byte(walk, value ? 0xC3 : 0xC2);
}

static void put_positive(struct artel_walk *walk, uint64_t value)
{
    if (value <= UINT8_MAX) {
        put_head8(walk, 0xCC, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        put_head16(walk, 0xCD, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        put_head32(walk, 0xCE, (uint32_t)value);
    } else {
        put_head64(walk, 0xCF, value);
    }
}

static void put_negative(struct artel_walk *walk, int64_t value)
{
    if (value >= INT8_MIN) {
        put_head8(walk, 0xD0, (uint8_t)value);
    } else if (value >= INT16_MIN) {
        put_head16(walk, 0xD1, (uint16_t)value);
    } else if (value >= INT32_MIN) {
        put_head32(walk, 0xD2, (uint32_t)value);
    } else {
        put_head64(walk, 0xD3, (uint64_t)value);
    }
}

static int put_integer(struct artel_walk *walk, lua_Integer value)
{
    int status = artel_walk_room(walk, HEAD_LEN_MAX);
    if (status < 0) {
        return status;
    }
    if (value >= -32 && value < 128) {
        *walk->at++ = (uint8_t)value; /* negative ones become 0xE0..0xFF */
    } else if (value > 0) {
        put_positive(walk, (uint64_t)value);
    } else {
        put_negative(walk, value);
    }
    return 0;
}

static int put_number(struct artel_walk *walk, lua_Number value)
{
    int status = artel_walk_room(walk, HEAD_LEN_MAX);
    if (status < 0) {
        return status;
    }
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_head64(walk, 0xCB, bits);
    return 0;
}

static void put_text_head(struct artel_walk *walk, size_t len)
{
    if (len < 32) {
        *walk->at++ = (uint8_t)(0xA0 | len);
    } else if (len <= UINT8_MAX) {
        put_head8(walk, 0xD9, (uint8_t)len);
    } else if (len <= UINT16_MAX) {
        put_head16(walk, 0xDA, (uint16_t)len);
    } else {
        put_head32(walk, 0xDB, (uint32_t)len);
    }
}

static void put_binary_head(struct artel_walk *walk, size_t len)
{
    if (len <= UINT8_MAX) {
        put_head8(walk, 0xC4, (uint8_t)len);
    } else if (len <= UINT16_MAX) {
        put_head16(walk, 0xC5, (uint16_t)len);
    } else {
        put_head32(walk, 0xC6, (uint32_t)len);
    }
}

void artel_msgpack_long_head(uint8_t head[ARTEL_MSGPACK_LONG_HEAD_LEN], const char *bytes,
                             size_t len)
{
    head[0] = artel_utf8_is_valid((const uint8_t *)bytes, len) ? 0xDB : 0xC6;
    put_u32(head + 1, (uint32_t)len);
}

static int put_string(struct artel_walk *walk, const char *bytes, size_t len)
{
    if (len > UINT32_MAX) {
        return ARTEL_E_OVERSIZE;
    }
    int status = artel_walk_room(walk, HEAD_LEN_MAX + len);
    if (status < 0) {
        return status;
    }
    if (artel_utf8_is_valid((const uint8_t *)bytes, len)) {
        put_text_head(walk, len);
    } else {
        put_binary_head(walk, len);
    }
    memcpy(walk->at, bytes, len);
    walk->at += len;
    return 0;
}

static int begin_list(struct artel_walk *walk, size_t count)
{
    if (count > UINT32_MAX) {
        return ARTEL_E_OVERSIZE;
    }
    int status = artel_walk_room(walk, HEAD_LEN_MAX);
    if (status < 0) {
        return status;
    }
    if (count < 16) {
        *walk->at++ = (uint8_t)(0x90 | count);
    } else if (count <= UINT16_MAX) {
        put_head16(walk, 0xDC, (uint16_t)count);
    } else {
        put_head32(walk, 0xDD, (uint32_t)count);
    }
    return 0;
}

static int end_list(struct artel_walk *walk)
{
    (void)walk; /* its head said how long it is */
    return 0;
}

static int begin_map(struct artel_walk *walk)
{
    int status = artel_walk_room(walk, MAP_HEAD_LEN);
    if (status == 0) {
        walk->at += MAP_HEAD_LEN;
    }
    return status;
}

static int end_map(struct artel_walk *walk, size_t begin, size_t count)
{
    if (count >
        UINT16_MAX) { /* the head grows: the contents, which are long, move down */
        int status = count > UINT32_MAX ? ARTEL_E_OVERSIZE : artel_walk_room(walk, 2);
        if (status < 0) {
            return status;
        }
        uint8_t *head = artel_walk_place(walk, begin);
        uint8_t *contents = head + MAP_HEAD_LEN;
        memmove(contents + 2, contents, (size_t)(walk->at - contents));
        head[0] = 0xDF;
        put_u32(head + 1, (uint32_t)count);
        walk->at += 2;
        return 0;
    }
    uint8_t *head = artel_walk_place(walk, begin);
    uint8_t *contents = head + MAP_HEAD_LEN;
    size_t len = (size_t)(walk->at - contents);
    if (count < 16 && len <= MAP_LEN_WORTH_MOVING) {
        head[0] = (uint8_t)(0x80 | count);
        memmove(head + 1, contents, len);
        walk->at -= MAP_HEAD_LEN - 1;
        return 0;
    }
    head[0] = 0xDE;
    put_u16(head + 1, (uint16_t)count);
    return 0;
}

static const struct artel_walk_ops OPS = {
    .null = put_null,
    .boolean = put_boolean,
    .integer = put_integer,
    .number = put_number,
    .string = put_string,
    .text_key = put_string,
    .only_text_keys = false,
    .list_begin = begin_list,
    .list_end = end_list,
    .map_begin = begin_map,
    .map_end = end_map,
};

int artel_msgpack_encode(lua_State *L, int index, struct artel_buffer *out,
                         const struct artel_codec_limits *limits)
{
    return artel_walk_value(L, index, out, &OPS, limits->max_len, limits->max_depth);
}
