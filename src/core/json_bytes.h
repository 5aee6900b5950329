/* SPDX-License-Identifier: Apache-2.0 */
/* Passing over the inside of JSON strings, eight bytes at a time. */
#ifndef ARTEL_CORE_JSON_BYTES_H
#define ARTEL_CORE_JSON_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ARTEL_EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The byte at the lowest address becomes the lowest one of the word. */
static inline uint64_t artel_load64_le(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/*
 * Marks, by its high bit, each byte below limit (at most 0x80). A borrow may also mark
 * bytes above a rightly marked one, so only the lowest mark counts.
 */
static inline uint64_t artel_bytes_below(uint64_t word, uint8_t limit)
{
    return (word - ARTEL_EACH_BYTE(limit)) & ~word & ARTEL_EACH_BYTE(0x80);
}

/* Marks the bytes that end a run of plain ones inside a string: quote, backslash, control
 * characters, and with stop_at_high also what is not ASCII. */
static inline uint64_t artel_json_marks(uint64_t word, bool stop_at_high)
{
    uint64_t marks = artel_bytes_below(word, 0x20) |
                     artel_bytes_below(word ^ ARTEL_EACH_BYTE('"'), 1) |
                     artel_bytes_below(word ^ ARTEL_EACH_BYTE('\\'), 1);
    return stop_at_high ? marks | (word & ARTEL_EACH_BYTE(0x80)) : marks;
}

static inline bool artel_json_is_plain(uint8_t byte, bool stop_at_high)
{
    return byte >= 0x20 && byte != '"' && byte != '\\' && !(stop_at_high && byte >= 0x80);
}

/* The first byte from at on that is not plain, or end. */
static inline const uint8_t *artel_json_skip_plain(const uint8_t *at, const uint8_t *end,
                                                   bool stop_at_high)
{
    while (end - at >= 8) {
        uint64_t marks = artel_json_marks(artel_load64_le(at), stop_at_high);
        if (marks != 0) {
            return at + __builtin_ctzll(marks) / 8;
        }
        at += 8;
    }
    while (at < end && artel_json_is_plain(*at, stop_at_high)) {
        at++;
    }
    return at;
}

/* White space between the tokens of JSON. */
static inline bool artel_json_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline const uint8_t *artel_json_skip_blank(const uint8_t *at, const uint8_t *end)
{
    while (at < end && artel_json_is_blank(*at)) {
        at++;
    }
    return at;
}

/* The value of a hexadecimal digit, or -1. */
static inline int artel_hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20; /* lower case */
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

#endif
