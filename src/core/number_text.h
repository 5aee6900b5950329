/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as JSON writes them, whatever the locale of the program is. */
#ifndef ARTEL_CORE_NUMBER_TEXT_H
#define ARTEL_CORE_NUMBER_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The most bytes that one number takes when it is written here. */
#define ARTEL_NUMBER_LEN_MAX 32

/* Writes a number to out, which has ARTEL_NUMBER_LEN_MAX bytes; answers how many it took.
 * No NUL is written. */
size_t artel_number_put_integer(uint8_t *out, int64_t value);

/* value is finite. The shortest of 15 to 17 digits that reads back the same, or fewer
 * where they are zeros; always with a point or an exponent, so that it stays a float. */
size_t artel_number_put_float(uint8_t *out, double value);

/*
 * Reads a number that has the syntax of JSON, correctly rounded. 0; -ERANGE when it is
 * too large for a double (too small is 0); -ENOMEM for a very long one.
 */
int artel_number_parse_float(const uint8_t *text, size_t len, double *value);

#endif
