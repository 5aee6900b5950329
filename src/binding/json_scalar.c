/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows the strings and numbers of JSON, strictly: lone surrogates, bytes that are no
 * UTF-8 and numbers out of range are errors, since two readers could take them
 * differently.
 */
#include "json_decoder.h"

#include "../core/json_bytes.h"
#include "../core/number_text.h"
#include "../core/utf8.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* ---- strings ---- */

/*
 * Passes over the inside of a string up to its quote, which stays. *escaped tells whether
 * there are escapes; they are not checked yet.
 */
static int find_quote(struct artel_json_decoder *decoder, bool *escaped)
{
    for (;;) {
        decoder->at = artel_json_skip_plain(decoder->at, decoder->end, true);
        size_t left = (size_t)(decoder->end - decoder->at);
        if (left == 0) {
            return artel_json_break(decoder, "a string without end");
        }
        uint8_t byte = *decoder->at;
        if (byte == '"') {
            return 0;
        }
        if (byte == '\\') {
            if (left < 2) {
                return artel_json_break(decoder, "a string without end");
            }
            *escaped = true;
            decoder->at++;
            if (*decoder->at == '"' || *decoder->at == '\\') {
                decoder->at++; /* anything else is looked at like the rest */
            }
        } else if (byte < 0x20) {
            return artel_json_break(decoder, "a control character in a string");
        } else {
            size_t len = artel_utf8_sequence_len(decoder->at, left);
            if (len == 0) {
                return artel_json_refuse(decoder, "a string that is not UTF-8");
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

/* Apart from the rest, since a luaL_Buffer is large and the decoder recurses. */
__attribute__((noinline)) static int decode_escaped(struct artel_json_decoder *decoder,
                                                    const uint8_t *begin,
                                                    const uint8_t *end)
{
    luaL_Buffer buffer; /* its memory is Lua's: nothing leaks when Lua raises */
    uint8_t *out =
        (uint8_t *)luaL_buffinitsize(decoder->L, &buffer, (size_t)(end - begin));
    size_t len = unescape(&begin, end, out);
    if (len == SIZE_MAX) {
        decoder->at = begin;
        return artel_json_refuse(decoder, "a wrong escape in a string");
    }
    luaL_pushresultsize(&buffer, len);
    return 0;
}

int artel_json_decode_string(struct artel_json_decoder *decoder)
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

static bool is_digit(const struct artel_json_decoder *decoder)
{
    return decoder->at < decoder->end && *decoder->at >= '0' && *decoder->at <= '9';
}

/* One digit or more. */
static bool skip_digits(struct artel_json_decoder *decoder)
{
    if (!is_digit(decoder)) {
        return false;
    }
    do {
        decoder->at++;
    } while (is_digit(decoder));
    return true;
}

static bool is_next(const struct artel_json_decoder *decoder, char byte)
{
    return decoder->at < decoder->end && *decoder->at == (uint8_t)byte;
}

/* The part from the point or the exponent on. */
static bool skip_fraction(struct artel_json_decoder *decoder)
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

static int decode_float(struct artel_json_decoder *decoder, const uint8_t *begin)
{
    if (!skip_fraction(decoder)) {
        return artel_json_break(decoder, "a number without its digits");
    }
    double value;
    int status = artel_number_parse_float(begin, (size_t)(decoder->at - begin), &value);
    if (status < 0) {
        decoder->at = begin;
        return artel_json_refuse(decoder, status == -ERANGE
                                              ? "a number that is too large for a float"
                                              : "a number that is too long");
    }
    lua_pushnumber(decoder->L, value);
    return 0;
}

int artel_json_decode_number(struct artel_json_decoder *decoder)
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
        return artel_json_break(decoder, "a wrong number");
    }
    if (is_next(decoder, '.') || is_next(decoder, 'e') || is_next(decoder, 'E')) {
        return decode_float(decoder, begin);
    }
    if (!fits || size > (uint64_t)INT64_MAX + negative) {
        decoder->at = begin;
        return artel_json_refuse(decoder, "an integer outside 64 bits");
    }
    lua_pushinteger(decoder->L, (lua_Integer)(negative ? 0 - size : size));
    return 0;
}
