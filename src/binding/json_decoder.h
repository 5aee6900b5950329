/* SPDX-License-Identifier: Apache-2.0 */
/* The state of decoding one JSON text; between json_decode.c and json_scalar.c alone. */
#ifndef ARTEL_BINDING_JSON_DECODER_H
#define ARTEL_BINDING_JSON_DECODER_H

#include "../core/error.h"

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

struct artel_json_decoder {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *begin;
    lua_State *L;
    size_t items_left; /* values and keys that may still be made */
    uint32_t depth;
    const char *complaint; /* static: what was wrong, once something failed */
};

/* Ends the decoding: the complaint is about the byte at which the decoder stands. */
static inline int artel_json_refuse(struct artel_json_decoder *decoder,
                                    const char *complaint)
{
    decoder->complaint = complaint;
    return ARTEL_E_DECODE;
}

/* The same where it is no JSON at all: who sends that cannot be trusted to know where its
 * next text begins. */
static inline int artel_json_break(struct artel_json_decoder *decoder,
                                   const char *complaint)
{
    decoder->complaint = complaint;
    return ARTEL_E_PROTOCOL;
}

/* Both push one value, or answer what artel_json_refuse() or artel_json_break() does. */
int artel_json_decode_string(
    struct artel_json_decoder *decoder); /* its quote was taken */
int artel_json_decode_number(struct artel_json_decoder *decoder); /* nothing was taken */

#endif
