/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows what JSON means to Lua, strictly: what two readers could take differently (double
 * keys, lone surrogates, numbers out of range, bytes that are no UTF-8) is an error.
 */
#include "codec.h"

#include "../core/error.h"
#include "../core/json_bytes.h"
#include "../core/json_text.h"
#include "../core/number_text.h"
#include "../core/utf8.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
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

struct decoder {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *begin;
    lua_State *L;
    size_t items_left; /* values and keys that may still be made */
    uint32_t depth;
    const char *complaint; /* static: what was wrong, once something failed */
};

static int decode_value(struct decoder *decoder);

static int refuse(struct decoder *decoder, const char *complaint)
{
    decoder->complaint = complaint;
    return ARTEL_E_DECODE;
}

static int count_item(struct decoder *decoder)
{
    if (decoder->items_left == 0) {
        decoder->complaint = "more values than the limit allows";
        return ARTEL_E_OVERSIZE;
    }
    decoder->items_left--;
    return 0;
}

/* Takes the byte if it comes next, behind white space. */
static bool take(struct decoder *decoder, char byte)
{
    decoder->at = artel_json_skip_blank(decoder->at, decoder->end);
    if (decoder->at == decoder->end || *decoder->at != (uint8_t)byte) {
        return false;
    }
    decoder->at++;
    return true;
}

/* ---- strings ---- */

/*
 * Passes over the inside of a string up to its quote, which stays. *escaped tells whether
 * there are escapes; they are not checked yet.
 */
static int find_quote(struct decoder *decoder, bool *escaped)
{
    for (;;) {
        decoder->at = artel_json_skip_plain(decoder->at, decoder->end, true);
        size_t left = (size_t)(decoder->end - decoder->at);
        if (left == 0) {
            return refuse(decoder, "a string without end");
        }
        uint8_t byte = *decoder->at;
        if (byte == '"') {
            return 0;
        }
        if (byte == '\\') {
            if (left < 2) {
                return refuse(decoder, "a string without end");
            }
            *escaped = true;
            decoder->at++;
            if (*decoder->at == '"' || *decoder->at == '\\') {
                decoder->at++; /* anything else is looked at like the rest */
            }
        } else if (byte < 0x20) {
            return refuse(decoder, "a control character in a string");
        } else {
            size_t len = artel_utf8_sequence_len(decoder->at, left);
            if (len == 0) {
                return refuse(decoder, "a string that is not UTF-8");
            }
            decoder->at += len;
        }
    }
}

/* Reads the four digits of \uXXXX; -1 when they are none. end is that of the string. */
static int32_t take_hex4(const uint8_t **at, const uint8_t *end)
{
    int32_t code = 0;
    if (end - *at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = artel_hex_digit((*at)[i]);
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    *at += 4;
    return code;
}

/* Reads the rest of a \u escape, with its second half if it needs one. Answers the code
 * point, or NULL in *at where the escape is wrong. */
static uint32_t take_code_point(const uint8_t **at, const uint8_t *end)
{
    int32_t code = take_hex4(at, end);
    if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF)) {
        *at = NULL;
        return 0;
    }
    if (code < 0xD800 || code > 0xDBFF) {
        return (uint32_t)code;
    }
    if (end - *at < 2 || (*at)[0] != '\\' || (*at)[1] != 'u') {
        *at = NULL;
        return 0;
    }
    *at += 2;
    int32_t low = take_hex4(at, end);
    if (low < 0xDC00 || low > 0xDFFF) {
        *at = NULL;
        return 0;
    }
    return 0x10000 + ((uint32_t)(code - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
}

/*
 * Writes a string without its escapes, which is never longer, to out. Answers how long it
 * is; SIZE_MAX with *at at the wrong escape.
 */
static size_t unescape(const uint8_t **at, const uint8_t *end, uint8_t *out)
{
    static const char PLAIN[128] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    const uint8_t *in = *at;
    size_t len = 0;
    while (in < end) {
        if (*in != '\\') {
            const uint8_t *run = in;
            in = memchr(run, '\\', (size_t)(end - run));
            in = in == NULL ? end : in;
            memcpy(out + len, run, (size_t)(in - run));
            len += (size_t)(in - run);
            continue;
        }
        *at = in;
        uint8_t letter = in[1]; /* find_quote() saw that the string does not end here */
        in += 2;
        if (letter == 'u') {
            uint32_t code_point = take_code_point(&in, end);
            if (in == NULL) {
                return SIZE_MAX;
            }
            len += artel_utf8_put(out + len, code_point);
        } else if (letter < sizeof PLAIN && PLAIN[letter] != 0) {
            out[len++] = (uint8_t)PLAIN[letter];
        } else {
            return SIZE_MAX;
        }
    }
    return len;
}

/* Apart from decode_string(), since a luaL_Buffer is large and the decoder recurses. */
__attribute__((noinline)) static int
decode_escaped(struct decoder *decoder, const uint8_t *begin, const uint8_t *end)
{
    luaL_Buffer buffer; /* its memory is Lua's: nothing leaks when Lua raises */
    uint8_t *out =
        (uint8_t *)luaL_buffinitsize(decoder->L, &buffer, (size_t)(end - begin));
    size_t len = unescape(&begin, end, out);
    if (len == SIZE_MAX) {
        decoder->at = begin;
        return refuse(decoder, "a wrong escape in a string");
    }
    luaL_pushresultsize(&buffer, len);
    return 0;
}

/* The opening quote was taken. */
static int decode_string(struct decoder *decoder)
{
    const uint8_t *begin = decoder->at;
    bool escaped = false;
    int status = find_quote(decoder, &escaped);
    if (status < 0) {
        return status;
    }
    const uint8_t *end = decoder->at++;
    if (escaped) {
        return decode_escaped(decoder, begin, end);
    }
    lua_pushlstring(decoder->L, (const char *)begin, (size_t)(end - begin));
    return 0;
}

/* ---- numbers ---- */

static bool is_digit(const struct decoder *decoder)
{
    return decoder->at < decoder->end && *decoder->at >= '0' && *decoder->at <= '9';
}

/* One digit or more. */
static bool skip_digits(struct decoder *decoder)
{
    if (!is_digit(decoder)) {
        return false;
    }
    do {
        decoder->at++;
    } while (is_digit(decoder));
    return true;
}

static bool is_next(const struct decoder *decoder, char byte)
{
    return decoder->at < decoder->end && *decoder->at == (uint8_t)byte;
}

/* The part from the point or the exponent on. */
static bool skip_fraction(struct decoder *decoder)
{
    if (is_next(decoder, '.')) {
        decoder->at++;
        if (!skip_digits(decoder)) {
            return false;
        }
    }
    if (is_next(decoder, 'e') || is_next(decoder, 'E')) {
        decoder->at++;
        if (is_next(decoder, '+') || is_next(decoder, '-')) {
            decoder->at++;
        }
        return skip_digits(decoder);
    }
    return true;
}

static int decode_float(struct decoder *decoder, const uint8_t *begin)
{
    if (!skip_fraction(decoder)) {
        return refuse(decoder, "a number without its digits");
    }
    double value;
    int status = artel_number_parse_float(begin, (size_t)(decoder->at - begin), &value);
    if (status < 0) {
        decoder->at = begin;
        return refuse(decoder, status == -ERANGE
                                   ? "a number that is too large for a float"
                                   : "a number that is too long");
    }
    lua_pushnumber(decoder->L, value);
    return 0;
}

/* Its first byte is next. */
static int decode_number(struct decoder *decoder)
{
    const uint8_t *begin = decoder->at;
    bool negative = is_next(decoder, '-');
    decoder->at += negative;
    const uint8_t *digits = decoder->at;
    uint64_t size = 0;
    bool fits = true;
    while (is_digit(decoder)) {
        uint64_t digit = (uint64_t)(*decoder->at++ - '0');
        fits = fits && size <= (UINT64_MAX - digit) / 10;
        size = size * 10 + digit;
    }
    if (decoder->at == digits || (*digits == '0' && decoder->at - digits > 1)) {
        return refuse(decoder, "a wrong number");
    }
    if (is_next(decoder, '.') || is_next(decoder, 'e') || is_next(decoder, 'E')) {
        return decode_float(decoder, begin);
    }
    if (!fits || size > (uint64_t)INT64_MAX + negative) {
        decoder->at = begin;
        return refuse(decoder, "an integer outside 64 bits");
    }
    lua_pushinteger(decoder->L, (lua_Integer)(negative ? 0 - size : size));
    return 0;
}

/* ---- containers ---- */

static int open_container(struct decoder *decoder)
{
    if (decoder->depth == ARTEL_JSON_MAX_DEPTH) {
        return refuse(decoder, "nested too deep");
    }
    decoder->depth++;
    return 0;
}

/* Makes room for one more held element, a key and a value perhaps, beside so many. */
static void make_room(lua_State *L, int held)
{
    if (held % ELEMENTS_STEP == 0) {
        luaL_checkstack(L, 2 * ELEMENTS_STEP + SPARE_SLOTS, NULL);
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
static int decode_array(struct decoder *decoder)
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
            return refuse(decoder, "neither a comma nor the end of an array");
        }
    }
    store_elements(L, first, held);
    decoder->depth--;
    return 0;
}

/* The same for an object of count keys and values, of which stored are already in it. */
static int store_members(struct decoder *decoder, size_t stored, int count)
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
            return refuse(decoder, "a key that comes twice");
        }
        lua_pop(L, 1);
        lua_rawset(L, object);
    }
    return 0;
}

static int decode_member(struct decoder *decoder)
{
    int status = count_item(decoder);
    if (status < 0) {
        return status;
    }
    if (!take(decoder, '"')) {
        return refuse(decoder, "no key where one is needed");
    }
    status = decode_string(decoder);
    if (status < 0) {
        return status;
    }
    if (!take(decoder, ':')) {
        return refuse(decoder, "no colon behind a key");
    }
    return decode_value(decoder);
}

/* The brace was taken. */
static int decode_object(struct decoder *decoder)
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
        return refuse(decoder, "neither a comma nor the end of an object");
    }
    decoder->depth--;
    return store_members(decoder, stored, held);
}

/* ---- any value ---- */

static bool take_word(struct decoder *decoder, const char *word, size_t len)
{
    if ((size_t)(decoder->end - decoder->at) < len ||
        memcmp(decoder->at, word, len) != 0) {
        return false;
    }
    decoder->at += len;
    return true;
}

static int decode_literal(struct decoder *decoder)
{
    lua_State *L = decoder->L;
    if (take_word(decoder, "true", 4)) {
        lua_pushboolean(L, 1);
    } else if (take_word(decoder, "false", 5)) {
        lua_pushboolean(L, 0);
    } else if (take_word(decoder, "null", 4)) {
        lua_pushlightuserdata(L, NULL); /* artel.null */
    } else {
        return refuse(decoder, "no value where one is needed");
    }
    return 0;
}

/* Pushes one value; the caller made room for it on the stack. */
static int decode_value(struct decoder *decoder)
{
    int status = count_item(decoder);
    if (status < 0) {
        return status;
    }
    decoder->at = artel_json_skip_blank(decoder->at, decoder->end);
    if (decoder->at == decoder->end) {
        return refuse(decoder, "the text is cut short");
    }
    switch (*decoder->at) {
    case '"':
        decoder->at++;
        return decode_string(decoder);
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
        return decode_number(decoder);
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
    luaL_checkstack(L, SPARE_SLOTS, NULL);
    struct decoder decoder = {
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
            status = refuse(&decoder, "bytes behind the value");
        }
    }
    if (status < 0) {
        lua_settop(L, top);
        lua_pushfstring(L, "%s (at byte %I)", decoder.complaint,
                        (LUAI_UACINT)(decoder.at - decoder.begin) + 1);
    }
    return status;
}
