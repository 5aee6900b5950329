/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how the arrays and objects of JSON become tables, and what a whole text is. */
#include "codec.h"

#include "json_decoder.h"
#include "lack.h"

#include "../core/json_bytes.h"
#include "../core/json_text.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/*
 * JSON does not announce how long a container is. Its first elements are kept on the
 * stack until it ends or so many have come; then the table is made, mostly just as large
 * as it has to be, instead of growing step by step.
 */
#define HELD_MAX 64

/* Stack slots are asked of Lua for so many elements at once, and a few for what holds
 * them. */
#define ELEMENTS_STEP 8
#define SPARE_SLOTS 8

static int decode_value(struct artel_json_decoder *decoder);

static int count_item(struct artel_json_decoder *decoder)
{
    if (decoder->items_left == 0) {
        decoder->complaint = "more values than the limit allows";
        return ARTEL_E_OVERSIZE;
    }
    decoder->items_left--;
    return 0;
}

/* Takes the byte if it comes next, behind white space. */
static bool take(struct artel_json_decoder *decoder, char byte)
{
    decoder->at = artel_json_skip_blank(decoder->at, decoder->end);
    if (decoder->at == decoder->end || *decoder->at != (uint8_t)byte) {
        return false;
    }
    decoder->at++;
    return true;
}

/* ---- containers ---- */

static int open_container(struct artel_json_decoder *decoder)
{
    if (decoder->depth == ARTEL_JSON_MAX_DEPTH) {
        return artel_json_refuse(decoder, "nested too deep");
    }
    decoder->depth++;
    return 0;
}

/* Makes room for one more held element, a key and a value perhaps, beside so many. */
static void make_room(lua_State *L, int held)
{
    if (held % ELEMENTS_STEP == 0) {
        artel_check_stack(L, 2 * ELEMENTS_STEP + SPARE_SLOTS);
    }
}

/*
 * Puts the count values on top of the stack into an array, as its elements from first on.
 * The array is below them; unless first is 1: then it is made here.
 */
static void store_elements(lua_State *L, lua_Integer first, int count)
{
    if (first == 1) {
        lua_createtable(L, count, 0);
        lua_insert(L, -1 - count);
    }
    int array = lua_gettop(L) - count;
    for (lua_Integer i = first + count - 1; i >= first; i--) {
        lua_rawseti(L, array, i);
    }
}

/* The bracket was taken. */
static int decode_array(struct artel_json_decoder *decoder)
{
    int status = open_container(decoder);
    if (status < 0) {
        return status;
    }
    lua_State *L = decoder->L;
    lua_Integer first = 1; /* index of the first element held */
    int held = 0;
    if (!take(decoder, ']')) {
        do {
            make_room(L, held);
            status = decode_value(decoder);
            if (status < 0) {
                return status;
            }
            held++;
            if (held == HELD_MAX) {
                store_elements(L, first, held);
                first += held;
                held = 0;
            }
        } while (take(decoder, ','));
        if (!take(decoder, ']')) {
            return artel_json_break(decoder, "neither a comma nor the end of an array");
        }
    }
    store_elements(L, first, held);
    decoder->depth--;
    return 0;
}

/* The same for an object of count keys and values, of which stored are already in it. */
static int store_members(struct artel_json_decoder *decoder, size_t stored, int count)
{
    lua_State *L = decoder->L;
    if (stored == 0) {
        lua_createtable(L, 0, count);
        lua_insert(L, -1 - 2 * count);
    }
    int object = lua_gettop(L) - 2 * count;
    for (int i = 0; i < count; i++) {
        lua_pushvalue(L, -2);
        if (lua_rawget(L, object) != LUA_TNIL) {
            return artel_json_refuse(decoder, "a key that comes twice");
        }
        lua_pop(L, 1);
        lua_rawset(L, object);
    }
    return 0;
}

static int decode_member(struct artel_json_decoder *decoder)
{
    int status = count_item(decoder);
    if (status < 0) {
        return status;
    }
    if (!take(decoder, '"')) {
        return artel_json_break(decoder, "no key where one is needed");
    }
    status = artel_json_decode_string(decoder);
    if (status < 0) {
        return status;
    }
    if (!take(decoder, ':')) {
        return artel_json_break(decoder, "no colon behind a key");
    }
    return decode_value(decoder);
}

/* The brace was taken. */
static int decode_object(struct artel_json_decoder *decoder)
{
    int status = open_container(decoder);
    if (status < 0) {
        return status;
    }
    size_t stored = 0;
    int held = 0;
    if (take(decoder, '}')) {
        lua_newtable(decoder->L);
        artel_push_object_metatable(decoder->L);
        lua_setmetatable(decoder->L, -2);
        decoder->depth--;
        return 0;
    }
    do {
        make_room(decoder->L, held);
        status = decode_member(decoder);
        if (status < 0) {
            return status;
        }
        held++;
        if (held == HELD_MAX / 2) {
            status = store_members(decoder, stored, held);
            if (status < 0) {
                return status;
            }
            stored += (size_t)held;
            held = 0;
        }
    } while (take(decoder, ','));
    if (!take(decoder, '}')) {
        return artel_json_break(decoder, "neither a comma nor the end of an object");
    }
    decoder->depth--;
    return store_members(decoder, stored, held);
}

/* ---- any value ---- */

static bool take_word(struct artel_json_decoder *decoder, const char *word, size_t len)
{
    if ((size_t)(decoder->end - decoder->at) < len ||
        memcmp(decoder->at, word, len) != 0) {
        return false;
    }
    decoder->at += len;
    return true;
}

static int decode_literal(struct artel_json_decoder *decoder)
{
    lua_State *L = decoder->L;
    if (take_word(decoder, "true", 4)) {
        lua_pushboolean(L, 1);
    } else if (take_word(decoder, "false", 5)) {
        lua_pushboolean(L, 0);
    } else if (take_word(decoder, "null", 4)) {
        lua_pushlightuserdata(L, NULL); /* artel.null */
    } else {
        return artel_json_break(decoder, "no value where one is needed");
    }
    return 0;
}

/* Pushes one value; the caller made room for it on the stack. */
static int decode_value(struct artel_json_decoder *decoder)
{
    int status = count_item(decoder);
    if (status < 0) {
        return status;
    }
    decoder->at = artel_json_skip_blank(decoder->at, decoder->end);
    if (decoder->at == decoder->end) {
        return artel_json_refuse(decoder, "the text is cut short");
    }
    switch (*decoder->at) {
    case '"':
        decoder->at++;
        return artel_json_decode_string(decoder);
    case '{':
        decoder->at++;
        return decode_object(decoder);
    case '[':
        decoder->at++;
        return decode_array(decoder);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return artel_json_decode_number(decoder);
    default:
        return decode_literal(decoder);
    }
}

int artel_json_decode(lua_State *L, const uint8_t *data, size_t len,
                      const struct artel_codec_limits *limits)
{
    const uint8_t *text =
        len > 0 ? data : (const uint8_t *)""; /* data may be NULL then */
    int top = lua_gettop(L);
    artel_check_stack(L, SPARE_SLOTS);
    struct artel_json_decoder decoder = {
        .at = text,
        .end = text + len,
        .begin = text,
        .L = L,
        .items_left = limits->max_items,
    };
    int status = decode_value(&decoder);
    if (status == 0) {
        decoder.at = artel_json_skip_blank(decoder.at, decoder.end);
        if (decoder.at != decoder.end) {
            status = artel_json_break(&decoder, "bytes behind the value");
        }
    }
    if (status < 0) {
        lua_settop(L, top);
        lua_pushfstring(L, "%s (at byte %I)", decoder.complaint,
                        (LUAI_UACINT)(decoder.at - decoder.begin) + 1);
    }
    return status;
}
