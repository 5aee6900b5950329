/* SPDX-License-Identifier: Apache-2.0 */
/* Knows which byte sequences are UTF-8, and passes over ASCII many bytes at a time. */
#include "utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word); /* any alignment; one instruction */
    return word;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

size_t artel_utf8_sequence_len(const uint8_t *bytes, size_t len)
{
    uint8_t first = bytes[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2 || len < 2) { /* a continuation, or an overlong form of ASCII */
        return 0;
    }
    uint8_t second = bytes[1];
    if (first < 0xE0) {
        return is_continuation(second) ? 2 : 0;
    }
    if (len < 3 || !is_continuation(bytes[2])) {
        return 0;
    }
    if (first < 0xF0) {
        uint8_t low = first == 0xE0 ? 0xA0 : 0x80;  /* below: overlong */
        uint8_t high = first == 0xED ? 0x9F : 0xBF; /* above: surrogates */
        return second >= low && second <= high ? 3 : 0;
    }
    if (first > 0xF4 || len < 4 || !is_continuation(bytes[3])) {
        return 0;
    }
    uint8_t low = first == 0xF0 ? 0x90 : 0x80;  /* below: overlong */
    uint8_t high = first == 0xF4 ? 0x8F : 0xBF; /* above: past U+10FFFF */
    return second >= low && second <= high ? 4 : 0;
}

static const uint8_t *skip_ascii(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 32) {
        uint64_t all = load64(at) | load64(at + 8) | load64(at + 16) | load64(at + 24);
        if ((all & HIGH_BITS) != 0) {
            break;
        }
        at += 32;
    }
    while (end - at >= 8 && (load64(at) & HIGH_BITS) == 0) {
        at += 8;
    }
    while (at < end && *at < 0x80) {
        at++;
    }
    return at;
}

/* Most strings on a channel are short and plain: for them this is all there is to do. */
static bool is_short_ascii(const uint8_t *bytes, size_t len)
{
    uint64_t all = 0;
    if (len >= 8) {
        for (size_t at = 0; at < len - 8; at += 8) {
            all |= load64(bytes + at);
        }
        return ((all | load64(bytes + len - 8)) & HIGH_BITS) == 0; /* words may overlap */
    }
    for (size_t at = 0; at < len; at++) {
        all |= bytes[at];
    }
    return all < 0x80;
}

bool artel_utf8_is_valid(const uint8_t *bytes, size_t len)
{
    if (len <= 128 && is_short_ascii(bytes, len)) {
        return true;
    }
    const uint8_t *end = bytes + len;
    const uint8_t *at = skip_ascii(bytes, end);
    while (at < end) {
        size_t sequence_len = artel_utf8_sequence_len(at, (size_t)(end - at));
        if (sequence_len == 0) {
            return false;
        }
        at += sequence_len;
        if (at < end && *at < 0x80) {
            at = skip_ascii(at, end);
        }
    }
    return true;
}

size_t artel_utf8_put(uint8_t *out, uint32_t code_point)
{
    if (code_point < 0x80) {
        out[0] = (uint8_t)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (uint8_t)(0xC0 | code_point >> 6);
        out[1] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code_point >> 12);
        out[1] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code_point >> 18);
    out[1] = (uint8_t)(0x80 | (code_point >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code_point & 0x3F));
    return 4;
}
