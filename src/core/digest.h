/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets compared so that the time it takes tells nothing about them. */
#ifndef ARTEL_CORE_DIGEST_H
#define ARTEL_CORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARTEL_DIGEST_LEN 32 /* bytes */

/* SHA-256 (FIPS 180-4). */
void artel_digest(const void *bytes, size_t len, uint8_t digest[ARTEL_DIGEST_LEN]);

/* Whether both are the same bytes, in a time that does not depend on where they differ.
 */
bool artel_secret_equals(const void *left, size_t left_len, const void *right,
                         size_t right_len);

#endif
