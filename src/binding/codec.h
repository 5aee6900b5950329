/* SPDX-License-Identifier: Apache-2.0 */
/* Lua values to bytes and back, straight between the Lua stack and a byte queue. */
#ifndef ARTEL_BINDING_CODEC_H
#define ARTEL_BINDING_CODEC_H

#include "../core/buffer.h"

#include <lua.h>

/* The codecs recurse on the C stack, so no limit allows more than this. */
#define ARTEL_CODEC_MAX_DEPTH 512

struct artel_codec_limits {
    uint32_t max_depth;       /* open containers; at most ARTEL_CODEC_MAX_DEPTH */
    size_t max_len;           /* bytes of one encoded value */
    size_t max_items;         /* values and keys that one decoded value may make */
    uint32_t max_number_keys; /* number keys outside 1..n that one decoded map may have */
};

/* Depth 128 (msgpack; JSON uses ARTEL_JSON_MAX_DEPTH), everything else without limit. */
extern const struct artel_codec_limits ARTEL_CODEC_DEFAULT_LIMITS;

/*
 * Appends the value at index to out. 0 with the stack as it was; or ARTEL_E_ENCODE,
 * ARTEL_E_OVERSIZE or -ENOMEM with one string pushed: a message that names the path
 * ("cannot send a function (at message.jobs[3].callback)"). After a failure out holds
 * a part of the value behind its former end: the caller restores out->end. May raise
 * Lua's memory error. Runs no metamethod.
 */
int artel_msgpack_encode(lua_State *L, int index, struct artel_buffer *out,
                         const struct artel_codec_limits *limits);
int artel_json_encode(lua_State *L, int index, struct artel_buffer *out,
                      const struct artel_codec_limits *limits);

/* What stands before the bytes of a string of more than 65,535 and at most UINT32_MAX. */
#define ARTEL_MSGPACK_LONG_HEAD_LEN 5
void artel_msgpack_long_head(uint8_t head[ARTEL_MSGPACK_LONG_HEAD_LEN], const char *bytes,
                             size_t len);

/*
 * Decodes exactly one value that fills data. 0 with the value pushed; or ARTEL_E_DECODE,
 * ARTEL_E_OVERSIZE (too many items), ARTEL_E_PROTOCOL (no JSON at all: the stream has
 * lost its place) with one string pushed: what was wrong and at which byte. May raise
 * Lua's memory error. Garbage may be collected meanwhile, so any finalizer may run and
 * call anything: data must stay where it is until this returns.
 */
int artel_msgpack_decode(lua_State *L, const uint8_t *data, size_t len,
                         const struct artel_codec_limits *limits);
int artel_json_decode(lua_State *L, const uint8_t *data, size_t len,
                      const struct artel_codec_limits *limits);

/* The metatables that artel.object and artel.array put on a table. */
void artel_push_object_metatable(lua_State *L);
void artel_push_array_metatable(lua_State *L);

/* Adds null, object, array, encode(encoding, value), decode(encoding, bytes) to the table
 * on top of the stack. encode answers a string or nil, message; decode value or nil,
 * message. */
void artel_codec_register(lua_State *L);

#endif
