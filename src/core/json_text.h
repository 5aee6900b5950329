/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as text: where one text ends in a stream, and which reserved keys an object has.
 * Builds no values; the binding's decoder judges what is inside.
 */
#ifndef ARTEL_CORE_JSON_TEXT_H
#define ARTEL_CORE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARTEL_JSON_MAX_DEPTH 512 /* docs/wire.md */

/* Zeroed is the state before the first byte of a text. */
struct artel_json_scan {
    uint32_t depth; /* open brackets */
    uint8_t state;  /* json_text.c alone knows the values */
};

/*
 * Feeds bytes. Returns 1 when the text ended, with *used the bytes up to and including
 * its end (a bare number ends before the byte that follows it); 0 when all bytes were
 * used and more are needed; ARTEL_E_PROTOCOL for a byte that no JSON text can have there
 * (brackets that do not match are found by the decoder) or for more than
 * ARTEL_JSON_MAX_DEPTH open brackets. White space before the text is part of it.
 */
int artel_json_scan_feed(struct artel_json_scan *scan, const uint8_t *data, size_t len,
                         size_t *used);

/* Whether the bytes fed so far are a whole text if nothing follows: a bare number. */
bool artel_json_scan_complete_at_end(const struct artel_json_scan *scan);

/* Whether nothing but white space has been fed. */
bool artel_json_scan_is_blank(const struct artel_json_scan *scan);

/* A slice of the text; data is NULL when the key is absent. */
struct artel_json_slice {
    const uint8_t *data;
    size_t len;
};

/* The reserved keys of one object. */
struct artel_json_envelope {
    struct artel_json_slice request, response, error, cancel, stop, query, status, body;
};

/*
 * Finds the reserved keys at the top level of a whole text as found by the scan. Returns
 * true if the text is an object with at least one of them (body alone does not count);
 * keys written with escapes are recognised too. Values are slices of text, not checked;
 * that of a reserved key which comes twice is empty, so that nothing can decode it.
 */
bool artel_json_envelope_find(const uint8_t *text, size_t len,
                              struct artel_json_envelope *envelope);

#endif
