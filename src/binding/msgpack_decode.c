/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows what each byte of MessagePack means to Lua. Input is from strangers: memory is
 * taken for what is there, never for what is announced, and depth, items and number keys
 * are bounded.
 */
#include "codec.h"
#include "lack.h"

#include "../core/error.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* A container is made with room for no more than this; the rest must come first. */
#define PRESIZE_MAX 1024

struct decoder {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *begin;
    lua_State *L;
    size_t items_left; /* values and keys that may still be announced */
    uint32_t max_number_keys;
    uint32_t depth;
    uint32_t max_depth;
    const char *complaint; /* static: what was wrong, once something failed */
};

static int decode_value(struct decoder *decoder);

static int refuse(struct decoder *decoder, const char *complaint)
{
    decoder->complaint = complaint;
    return ARTEL_E_DECODE;
}

static int count_items(struct decoder *decoder, size_t count)
{
    if (count > decoder->items_left) {
        decoder->complaint = "more values than the limit allows";
        return ARTEL_E_OVERSIZE;
    }
    decoder->items_left -= count;
    return 0;
}

static size_t bytes_left(const struct decoder *decoder)
{
    return (size_t)(decoder->end - decoder->at);
}

/* Takes a big-endian operand of len bytes, at most 8. */
static int take_operand(struct decoder *decoder, size_t len, uint64_t *operand)
{
    if (bytes_left(decoder) < len) {
        return refuse(decoder, "the value is cut short");
    }
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | decoder->at[i];
    }
    decoder->at += len;
    *operand = value;
    return 0;
}

/* ---- scalars ---- */

static int decode_positive(struct decoder *decoder, size_t len)
{
    uint64_t value;
    int status = take_operand(decoder, len, &value);
    if (status < 0) {
        return status;
    }
    if (value > INT64_MAX) {
        return refuse(decoder, "an integer above 2^63-1");
    }
    lua_pushinteger(decoder->L, (lua_Integer)value);
    return 0;
}

static int decode_signed(struct decoder *decoder, size_t len)
{
    uint64_t value;
    int status = take_operand(decoder, len, &value);
    if (status < 0) {
        return status;
    }
    uint64_t sign = UINT64_C(1) << (8 * len - 1);
    lua_pushinteger(decoder->L,
                    (lua_Integer)((value ^ sign) - sign)); /* extends the sign */
    return 0;
}

static int decode_float32(struct decoder *decoder)
{
    uint64_t operand;
    int status = take_operand(decoder, 4, &operand);
    if (status < 0) {
        return status;
    }
    uint32_t bits = (uint32_t)operand;
    float value;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(decoder->L, (lua_Number)value);
    return 0;
}

static int decode_float64(struct decoder *decoder)
{
    uint64_t bits;
    int status = take_operand(decoder, 8, &bits);
    if (status < 0) {
        return status;
    }
    lua_Number value;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(decoder->L, value);
    return 0;
}

static int decode_bytes(struct decoder *decoder, size_t len)
{
    if (bytes_left(decoder) < len) {
        return refuse(decoder, "a string that is cut short");
    }
    lua_pushlstring(decoder->L, (const char *)decoder->at, len);
    decoder->at += len;
    return 0;
}

static int decode_long_bytes(struct decoder *decoder, size_t operand_len)
{
    uint64_t len;
    int status = take_operand(decoder, operand_len, &len);
    return status < 0 ? status : decode_bytes(decoder, (size_t)len);
}

/* ---- containers ---- */

/*
 * Checks a container of count elements, each of at least element_len bytes, and counts it
 * in. *presize gets how many to make room for.
 */
static int open_container(struct decoder *decoder, size_t count, size_t element_len,
                          int *presize)
{
    if (count > bytes_left(decoder) / element_len) {
        return refuse(decoder, "more elements are announced than there are bytes for");
    }
    if (decoder->depth == decoder->max_depth) {
        return refuse(decoder, "nested too deep");
    }
    /* An element of a map is a key and a value: two bytes at least, and two items. */
    int status = count_items(decoder, count * element_len);
    if (status < 0) {
        return status;
    }
    artel_check_stack(decoder->L, 5); /* table, key, value, and two to compare */
    decoder->depth++;
    *presize = (int)(count < PRESIZE_MAX ? count : PRESIZE_MAX);
    return 0;
}

static int decode_array(struct decoder *decoder, size_t count)
{
    int presize;
    int status = open_container(decoder, count, 1, &presize);
    if (status < 0) {
        return status;
    }
    lua_State *L = decoder->L;
    lua_createtable(L, presize, 0);
    for (size_t i = 1; i <= count; i++) {
        status = decode_value(decoder);
        if (status < 0) {
            return status;
        }
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    decoder->depth--;
    return 0;
}

/*
 * Number keys 1..count lie so close together that they cannot be chosen to collide; all
 * others can, since Lua hashes numbers without a seed.
 */
static bool is_harmless_key(lua_State *L, size_t count)
{
    return lua_isinteger(L, -1) &&
           (lua_Unsigned)lua_tointeger(L, -1) - 1 < (lua_Unsigned)count;
}

/* Pushes a key of a map that stands below it. number_keys counts those outside 1..count.
 */
static int decode_key(struct decoder *decoder, size_t count, uint32_t *number_keys)
{
    lua_State *L = decoder->L;
    int status = decode_value(decoder);
    if (status < 0) {
        return status;
    }
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
    case LUA_TBOOLEAN:
        break;
    case LUA_TNUMBER:
        if (lua_tonumber(L, -1) != lua_tonumber(L, -1)) {
            return refuse(decoder, "NaN as a key");
        }
        if (!is_harmless_key(L, count) && (*number_keys)++ == decoder->max_number_keys) {
            decoder->complaint = "more number keys in one map than the limit allows";
            return ARTEL_E_OVERSIZE;
        }
        break;
    case LUA_TTABLE:
        return refuse(decoder, "a container as a key");
    default:
        return refuse(decoder, "nil as a key");
    }
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        return refuse(decoder, "a key that comes twice");
    }
    lua_pop(L, 1);
    return 0;
}

static int decode_map(struct decoder *decoder, size_t count)
{
    int presize;
    int status = open_container(decoder, count, 2, &presize);
    if (status < 0) {
        return status;
    }
    lua_State *L = decoder->L;
    lua_createtable(L, 0, presize);
    if (count == 0) {
        artel_push_object_metatable(L);
        lua_setmetatable(L, -2);
    }
    uint32_t number_keys = 0;
    for (size_t i = 0; i < count; i++) {
        status = decode_key(decoder, count, &number_keys);
        if (status < 0) {
            return status;
        }
        status = decode_value(decoder);
        if (status < 0) {
            return status;
        }
        lua_rawset(L, -3);
    }
    decoder->depth--;
    return 0;
}

/* ---- any value ---- */

static int decode_long_array(struct decoder *decoder, size_t operand_len)
{
    uint64_t count;
    int status = take_operand(decoder, operand_len, &count);
    return status < 0 ? status : decode_array(decoder, (size_t)count);
}

static int decode_long_map(struct decoder *decoder, size_t operand_len)
{
    uint64_t count;
    int status = take_operand(decoder, operand_len, &count);
    return status < 0 ? status : decode_map(decoder, (size_t)count);
}

/* Types 0xC0 to 0xDF: what does not fit its first byte. */
static int decode_long(struct decoder *decoder, uint8_t type)
{
    switch (type) {
    case 0xC0:
        lua_pushlightuserdata(decoder->L, NULL); /* artel.null */
        return 0;
    case 0xC2:
    case 0xC3:
        lua_pushboolean(decoder->L, type == 0xC3);
        return 0;
    case 0xC4:
    case 0xC5:
    case 0xC6:
        return decode_long_bytes(decoder, (size_t)1 << (type - 0xC4));
    case 0xCA:
        return decode_float32(decoder);
    case 0xCB:
        return decode_float64(decoder);
    case 0xCC:
    case 0xCD:
    case 0xCE:
    case 0xCF:
        return decode_positive(decoder, (size_t)1 << (type - 0xCC));
    case 0xD0:
    case 0xD1:
    case 0xD2:
    case 0xD3:
        return decode_signed(decoder, (size_t)1 << (type - 0xD0));
    case 0xD9:
    case 0xDA:
    case 0xDB:
        return decode_long_bytes(decoder, (size_t)1 << (type - 0xD9));
    case 0xDC:
    case 0xDD:
        return decode_long_array(decoder, (size_t)2 << (type - 0xDC));
    case 0xDE:
    case 0xDF:
        return decode_long_map(decoder, (size_t)2 << (type - 0xDE));
    case 0xC1:
        return refuse(decoder, "a type that MessagePack does not have");
    default:
        return refuse(decoder, "an extension type");
    }
}

/* Pushes one value. */
static int decode_value(struct decoder *decoder)
{
    if (decoder->at == decoder->end) {
        return refuse(decoder, "the value is cut short");
    }
    uint8_t type = *decoder->at++;
    if (type < 0x80) {
        lua_pushinteger(decoder->L, type);
        return 0;
    }
    if (type >= 0xE0) {
        lua_pushinteger(decoder->L, (lua_Integer)type - 0x100);
        return 0;
    }
    if (type >= 0xC0) {
        return decode_long(decoder, type);
    }
    if (type >= 0xA0) {
        return decode_bytes(decoder, type & 0x1F);
    }
    return type >= 0x90 ? decode_array(decoder, type & 0x0F)
                        : decode_map(decoder, type & 0x0F);
}

static int decode_whole(struct decoder *decoder)
{
    int status = count_items(decoder, 1);
    if (status == 0) {
        status = decode_value(decoder);
    }
    if (status == 0 && decoder->at != decoder->end) {
        return refuse(decoder, "bytes behind the value");
    }
    return status;
}

int artel_msgpack_decode(lua_State *L, const uint8_t *data, size_t len,
                         const struct artel_codec_limits *limits)
{
    const uint8_t *bytes =
        len > 0 ? data : (const uint8_t *)""; /* data may be NULL then */
    int top = lua_gettop(L);
    artel_check_stack(L, 5);
    struct decoder decoder = {
        .at = bytes,
        .end = bytes + len,
        .begin = bytes,
        .L = L,
        .items_left = limits->max_items,
        .max_number_keys = limits->max_number_keys,
        .max_depth = limits->max_depth < ARTEL_CODEC_MAX_DEPTH ? limits->max_depth
                                                               : ARTEL_CODEC_MAX_DEPTH,
    };
    int status = decode_whole(&decoder);
    if (status < 0) {
        lua_settop(L, top);
        lua_pushfstring(L, "%s (at byte %I)", decoder.complaint,
                        (LUAI_UACINT)(decoder.at - decoder.begin));
    }
    return status;
}
