/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers of the codecs share: a Lua state, and when two values are the same. */
#ifndef ARTEL_BINDING_CODEC_FUZZ_H
#define ARTEL_BINDING_CODEC_FUZZ_H

#include "codec.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* A state without libraries, kept from input to input; its stack is empty. */
static inline lua_State *fuzz_state(void)
{
    static lua_State *L;
    if (L == NULL) {
        L = luaL_newstate();
        fuzz_require(L != NULL);
    }
    lua_settop(L, 0);
    return L;
}

static inline bool fuzz_same_scalar(lua_State *L, int left, int right)
{
    if (lua_type(L, left) != LUA_TNUMBER) {
        return lua_rawequal(L, left, right);
    }
    if (lua_isinteger(L, left) || lua_isinteger(L, right)) {
        return lua_isinteger(L, left) && lua_isinteger(L, right) &&
               lua_rawequal(L, left, right);
    }
    lua_Number a = lua_tonumber(L, left);
    lua_Number b = lua_tonumber(L, right);
    return memcmp(&a, &b, sizeof a) == 0; /* tells NaNs and zeros apart */
}

static inline size_t fuzz_count(lua_State *L, int table)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        count++;
    }
    return count;
}

static inline bool fuzz_is_marked(lua_State *L, int table)
{
    bool marked = lua_getmetatable(L, table);
    lua_pop(L, marked);
    return marked;
}

/* Whether the values at two absolute indices are the same message; an empty object is
 * told from an empty list by its metatable. */
static inline bool fuzz_same(lua_State *L, int left, int right)
{
    if (lua_type(L, left) != lua_type(L, right)) {
        return false;
    }
    if (lua_type(L, left) != LUA_TTABLE) {
        return fuzz_same_scalar(L, left, right);
    }
    luaL_checkstack(L, 6, NULL);
    int key = lua_gettop(L) + 1;
    for (lua_pushnil(L); lua_next(L, left) != 0; lua_settop(L, key)) {
        lua_pushvalue(L, key);
        lua_rawget(L, right);
        if (!fuzz_same(L, key + 1, key + 2)) {
            return false;
        }
    }
    return fuzz_count(L, left) == fuzz_count(L, right) &&
           fuzz_is_marked(L, left) == fuzz_is_marked(L, right);
}

/*
 * Decodes the bytes; if they are a value, encodes it and decodes that again: both values
 * must be the same. Answers whether they are a value.
 */
static inline bool fuzz_round_trip(const uint8_t *data, size_t size,
                                   int (*encode)(lua_State *, int, struct artel_buffer *,
                                                 const struct artel_codec_limits *),
                                   int (*decode)(lua_State *, const uint8_t *, size_t,
                                                 const struct artel_codec_limits *))
{
    const struct artel_codec_limits *limits = &ARTEL_CODEC_DEFAULT_LIMITS;
    lua_State *L = fuzz_state();
    uint8_t *copy = malloc(size > 0 ? size : 1); /* the sanitizer sees its end */
    fuzz_require(copy != NULL);
    memcpy(copy, data, size);
    int status = decode(L, copy, size, limits);
    free(copy); /* no value may borrow from the input */
    fuzz_require(lua_gettop(L) == 1);
    if (status < 0) {
        fuzz_require(lua_type(L, 1) == LUA_TSTRING);
        return false;
    }
    struct artel_buffer out;
    artel_buffer_init(&out);
    fuzz_require(encode(L, 1, &out, limits) == 0);
    fuzz_require(decode(L, artel_buffer_head(&out), artel_buffer_len(&out), limits) == 0);
    artel_buffer_fini(&out);
    fuzz_require(lua_gettop(L) == 2 && fuzz_same(L, 1, 2));
    return true;
}

#endif
