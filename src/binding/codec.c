/* SPDX-License-Identifier: Apache-2.0 */
/* Offers the codecs to Lua, one whole string at a time: for files, command lines, specs.
 */
#include "codec.h"

#include "class.h"
#include "mark.h"

#include <lauxlib.h>
#include <stdint.h>

const struct artel_codec_limits ARTEL_CODEC_DEFAULT_LIMITS = {
    .max_depth = 128,
    .max_len = SIZE_MAX,
    .max_items = SIZE_MAX,
    .max_number_keys = UINT32_MAX,
};

#define SCRATCH_TYPE "artel.codec.Scratch"

/* A scratch block above this is not kept between calls. */
#define SCRATCH_KEEP ((size_t)64 * 1024)

struct codec {
    int (*encode)(lua_State *L, int index, struct artel_buffer *out,
                  const struct artel_codec_limits *limits);
    int (*decode)(lua_State *L, const uint8_t *data, size_t len,
                  const struct artel_codec_limits *limits);
};

static const struct codec *check_codec(lua_State *L, int index)
{
    static const char *const NAMES[] = {"msgpack", "json", NULL};
    static const struct codec CODECS[] = {{artel_msgpack_encode, artel_msgpack_decode},
                                          {artel_json_encode, artel_json_decode}};
    return &CODECS[luaL_checkoption(L, index, NULL, NAMES)];
}

/* encode(encoding, value) -> bytes; or nil, message */
static int encode(lua_State *L)
{
    const struct codec *codec = check_codec(L, 1);
    struct artel_buffer *scratch = lua_touserdata(L, lua_upvalueindex(1));
    lua_settop(L, 2); /* no value is nil */
    /* A finalizer may run in a call below and come here: nothing is expected to be left.
     */
    artel_buffer_consume(scratch, artel_buffer_len(scratch));
    if (codec->encode(L, 2, scratch, &ARTEL_CODEC_DEFAULT_LIMITS) < 0) {
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushlstring(L, (const char *)artel_buffer_head(scratch),
                    artel_buffer_len(scratch));
    artel_buffer_consume(scratch, artel_buffer_len(scratch));
    artel_buffer_trim(scratch, SCRATCH_KEEP);
    return 1;
}

/* decode(encoding, bytes) -> value; or nil, message */
static int decode(lua_State *L)
{
    const struct codec *codec = check_codec(L, 1);
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);
    int status =
        codec->decode(L, (const uint8_t *)bytes, len, &ARTEL_CODEC_DEFAULT_LIMITS);
    if (status < 0) {
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    return 1;
}

static int free_scratch(lua_State *L)
{
    artel_buffer_fini(lua_touserdata(L, 1));
    return 0;
}

/* Pushes a box around an empty buffer, which is freed with it. */
static void push_scratch(lua_State *L)
{
    static const luaL_Reg METAMETHODS[] = {{"__gc", free_scratch}, {NULL, NULL}};
    struct artel_buffer *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
    artel_buffer_init(scratch);
    artel_set_class(L, SCRATCH_TYPE, METAMETHODS);
}

void artel_codec_register(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    artel_mark_register(L);
    push_scratch(L);
    lua_pushcclosure(L, encode, 1);
    lua_setfield(L, -2, "encode");
    lua_pushcfunction(L, decode);
    lua_setfield(L, -2, "decode");
}
