/* SPDX-License-Identifier: Apache-2.0 */
/* What is UTF-8 (RFC 3629: no surrogates, nothing above U+10FFFF, shortest forms only).
 */
#ifndef ARTEL_CORE_UTF8_H
#define ARTEL_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool artel_utf8_is_valid(const uint8_t *bytes, size_t len);

/*
 * The length in bytes, 1 to 4, of the one valid sequence that bytes begins with; 0 when
 * it begins with none. len is at least 1.
 */
size_t artel_utf8_sequence_len(const uint8_t *bytes, size_t len);

/* Writes a code point (no surrogate, at most 0x10FFFF) to out, which has 4 bytes; answers
 * how many it took. */
size_t artel_utf8_put(uint8_t *out, uint32_t code_point);

#endif
