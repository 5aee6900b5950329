/* SPDX-License-Identifier: Apache-2.0 */
/* Checks what specs cannot reach: limits to the byte, buffers in use, and lack of memory.
 */
#include "codec.h"

#include "../core/error.h"
#include "../core/test.h"

#include <lauxlib.h>
#include <lualib.h>

typedef int encode_function(lua_State *L, int index, struct artel_buffer *out,
                            const struct artel_codec_limits *limits);
typedef int decode_function(lua_State *L, const uint8_t *data, size_t len,
                            const struct artel_codec_limits *limits);

static encode_function *const ENCODERS[] = {artel_msgpack_encode, artel_json_encode};
static decode_function *const DECODERS[] = {artel_msgpack_decode, artel_json_decode};

/* A map in a map in ..., so that many heads are open at once. */
static const char NESTED[] = "local t = {} for i = 1, 100 do t = { a = t } end return t";
static const char BIG_MAP[] =
    "local t = {} for i = 1, 70000 do t['k' .. i] = i end return t";
static const char BACKWARDS[] =
    "local t = {} for i = 40, 1, -1 do t[i] = {} end return t";

static const char *const VALUES[] = {
    "return 1",
    "return 1.5",
    "return -1/3",
    "return true",
    "return 'text'",
    "return ('x'):rep(5000)",
    "return ('\\n'):rep(500)",
    "return {}",
    "return { 1, 2, 3 }",
    "return { x = { y = { 'z' } } }",
    "return { {}, {}, 'a', { { 1.25 } } }",
    NESTED,
    BACKWARDS,
};

static void push_value(lua_State *L, const char *chunk)
{
    if (luaL_dostring(L, chunk) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
}

/* Encodes the value on top of the stack without any limit; answers how long it is. */
static size_t full_len(lua_State *L, encode_function *encode)
{
    struct artel_buffer out;
    artel_buffer_init(&out);
    CHECK_INT(0, encode(L, -1, &out, &ARTEL_CODEC_DEFAULT_LIMITS));
    size_t len = artel_buffer_len(&out);
    artel_buffer_fini(&out);
    return len;
}

static int status_with_limit(lua_State *L, encode_function *encode, size_t max_len)
{
    struct artel_codec_limits limits = ARTEL_CODEC_DEFAULT_LIMITS;
    struct artel_buffer out;
    limits.max_len = max_len;
    artel_buffer_init(&out);
    int top = lua_gettop(L);
    int status = encode(L, -1, &out, &limits);
    CHECK_INT(top + (status < 0), lua_gettop(L));
    CHECK(out.capacity < 4096 + 4 * max_len); /* bounded while it encodes, too */
    if (status < 0) {
        char expected[64];
        snprintf(expected, sizeof expected, "cannot send more than %zu bytes", max_len);
        CHECK(strstr(lua_tostring(L, -1), expected) != NULL);
        lua_pop(L, 1);
    }
    artel_buffer_fini(&out);
    return status;
}

static void the_length_limit_is_exact(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    for (size_t e = 0; e < 2; e++) {
        for (size_t v = 0; v < sizeof VALUES / sizeof VALUES[0]; v++) {
            push_value(L, VALUES[v]);
            size_t len = full_len(L, ENCODERS[e]);
            for (size_t limit = 0; limit < len; limit++) {
                CHECK_INT(ARTEL_E_OVERSIZE, status_with_limit(L, ENCODERS[e], limit));
            }
            CHECK_INT(0, status_with_limit(L, ENCODERS[e], len));
            CHECK_INT(0, status_with_limit(L, ENCODERS[e], len + 1));
            lua_pop(L, 1);
        }
        push_value(L, BIG_MAP);
        size_t len = full_len(L, ENCODERS[e]);
        CHECK_INT(ARTEL_E_OVERSIZE, status_with_limit(L, ENCODERS[e], len - 1));
        CHECK_INT(0, status_with_limit(L, ENCODERS[e], len));
        lua_pop(L, 1);
    }
    lua_close(L);
}

/* The queue moves and grows while a value is written behind what it holds. */
static void what_is_queued_before_stays(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    for (size_t e = 0; e < 2; e++) {
        for (size_t taken = 0; taken <= 500; taken += 50) {
            struct artel_buffer out;
            artel_buffer_init(&out);
            for (size_t i = 0; i < 500; i++) {
                uint8_t byte = (uint8_t)i;
                CHECK_INT(0, artel_buffer_append(&out, &byte, 1));
            }
            artel_buffer_consume(&out, taken);
            push_value(L, "local t = {} for i = 1, 300 do t[i] = { n = i } end return t");
            CHECK_INT(0, ENCODERS[e](L, -1, &out, &ARTEL_CODEC_DEFAULT_LIMITS));
            for (size_t i = taken; i < 500; i++) {
                CHECK_INT((uint8_t)i, artel_buffer_head(&out)[i - taken]);
            }
            artel_buffer_consume(&out, 500 - taken);
            CHECK_INT(0, DECODERS[e](L, artel_buffer_head(&out), artel_buffer_len(&out),
                                     &ARTEL_CODEC_DEFAULT_LIMITS));
            CHECK_INT(300, lua_rawlen(L, -1));
            lua_settop(L, 0);
            artel_buffer_fini(&out);
        }
    }
    lua_close(L);
}

static int decode_status(lua_State *L, decode_function *decode, const char *bytes,
                         size_t len, const struct artel_codec_limits *limits)
{
    int status = decode(L, (const uint8_t *)bytes, len, limits);
    CHECK_INT(1, lua_gettop(L));
    CHECK(status == 0 || lua_type(L, 1) == LUA_TSTRING);
    lua_settop(L, 0);
    return status;
}

static void the_item_limit_is_exact(void)
{
    static const struct {
        size_t codec;
        size_t items;
        const char *bytes;
    } cases[] = {
        {0, 1, "\xC3"},
        {0, 3, "\x92\x01\x02"},
        {0, 5, "\x82\x01\x02\x03\x04"},
        {0, 4, "\x93\x90\x90\x80"},
        {1, 1, "true"},
        {1, 3, "[1,2]"},
        {1, 5, "{\"a\":1,\"b\":2}"},
        {1, 4, "[[],[],{}]"},
    };
    lua_State *L = luaL_newstate();
    struct artel_codec_limits limits = ARTEL_CODEC_DEFAULT_LIMITS;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        decode_function *decode = DECODERS[cases[i].codec];
        size_t len = strlen(cases[i].bytes);
        for (limits.max_items = 0; limits.max_items < cases[i].items;
             limits.max_items++) {
            CHECK_INT(ARTEL_E_OVERSIZE,
                      decode_status(L, decode, cases[i].bytes, len, &limits));
        }
        CHECK_INT(0, decode_status(L, decode, cases[i].bytes, len, &limits));
    }
    lua_close(L);
}

/* Number keys 1..count are free in any order; others count. */
static void the_number_key_limit_counts_keys_outside_the_list(void)
{
    lua_State *L = luaL_newstate();
    struct artel_codec_limits limits = ARTEL_CODEC_DEFAULT_LIMITS;
    decode_function *decode = artel_msgpack_decode;
    limits.max_number_keys = 0;
    CHECK_INT(0, decode_status(L, decode, "\x82\x02\xC3\x01\xC3", 5, &limits));
    CHECK_INT(0, decode_status(L, decode, "\x82\xA1\x61\xC3\x01\xC3", 6, &limits));
    CHECK_INT(ARTEL_E_OVERSIZE,
              decode_status(L, decode, "\x82\x03\xC3\x01\xC3", 5, &limits));
    CHECK_INT(ARTEL_E_OVERSIZE, decode_status(L, decode, "\x81\x00\xC3", 3, &limits));
    CHECK_INT(ARTEL_E_OVERSIZE, decode_status(L, decode, "\x81\xFF\xC3", 3, &limits));
    CHECK_INT(ARTEL_E_OVERSIZE,
              decode_status(L, decode, "\x81\xCA\x3F\xC0\x00\x00\xC3", 7, &limits));
    limits.max_number_keys = 2;
    CHECK_INT(0, decode_status(L, decode, "\x83\x10\xC3\x11\xC3\x01\xC3", 7, &limits));
    CHECK_INT(ARTEL_E_OVERSIZE,
              decode_status(L, decode, "\x83\x10\xC3\x11\xC3\x12\xC3", 7, &limits));
    lua_close(L);
}

static void the_depth_limit_is_exact(void)
{
    lua_State *L = luaL_newstate();
    struct artel_codec_limits limits = ARTEL_CODEC_DEFAULT_LIMITS;
    struct artel_buffer out;
    artel_buffer_init(&out);
    limits.max_depth = 2;
    CHECK_INT(0, decode_status(L, artel_msgpack_decode, "\x91\x91\x01", 3, &limits));
    CHECK_INT(0, decode_status(L, artel_msgpack_decode, "\x91\x90", 2, &limits));
    CHECK_INT(ARTEL_E_DECODE,
              decode_status(L, artel_msgpack_decode, "\x91\x91\x90", 3, &limits));
    push_value(L, "return { { 1 } }");
    CHECK_INT(0, artel_msgpack_encode(L, -1, &out, &limits));
    push_value(L, "return { { {} } }");
    CHECK_INT(ARTEL_E_ENCODE, artel_msgpack_encode(L, -1, &out, &limits));
    CHECK_STR("cannot send a table nested deeper than 2 levels (at message[1][1])",
              lua_tostring(L, -1));
    limits.max_depth = UINT32_MAX; /* is bounded all the same */
    char brackets[ARTEL_CODEC_MAX_DEPTH + 1];
    memset(brackets, '\x91', sizeof brackets);
    lua_settop(L, 0);
    CHECK_INT(ARTEL_E_DECODE,
              decode_status(L, artel_msgpack_decode, brackets, sizeof brackets, &limits));
    artel_buffer_fini(&out);
    lua_close(L);
}

static void no_bytes_are_no_value(void)
{
    lua_State *L = luaL_newstate();
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(ARTEL_E_DECODE,
                  decode_status(L, DECODERS[i], NULL, 0, &ARTEL_CODEC_DEFAULT_LIMITS));
    }
    lua_close(L);
}

/* ---- lack of memory ---- */

struct allowance {
    long allocations_left; /* none fails while it is negative */
};

static void *allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct allowance *allowance = context;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (block == NULL || new_size > old_size) { /* Lua relies on shrinking */
        if (allowance->allocations_left == 0) {
            return NULL;
        }
        allowance->allocations_left -= allowance->allocations_left > 0;
    }
    return realloc(block, new_size);
}

static const char MIXED_JSON[] =
    "[{\"a\":[1,2.5,{}],\"b\\n\":\"a rather long string which "
    "is not interned by Lua\"},[[]],null]";

static int encode_and_decode(lua_State *L)
{
    struct artel_buffer *out = lua_touserdata(L, 1);
    int status = artel_json_decode(L, (const uint8_t *)MIXED_JSON, sizeof MIXED_JSON - 1,
                                   &ARTEL_CODEC_DEFAULT_LIMITS);
    CHECK_INT(0, status);
    CHECK_INT(0, artel_msgpack_encode(L, -1, out, &ARTEL_CODEC_DEFAULT_LIMITS));
    CHECK_INT(0, artel_msgpack_decode(L, artel_buffer_head(out), artel_buffer_len(out),
                                      &ARTEL_CODEC_DEFAULT_LIMITS));
    lua_pushboolean(L, 1);
    lua_setfield(L, -2,
                 "extra"); /* now it is neither list nor object: a message is made */
    CHECK_INT(ARTEL_E_ENCODE, artel_json_encode(L, -1, out, &ARTEL_CODEC_DEFAULT_LIMITS));
    return 0;
}

static void each_failed_allocation_is_only_raised(void)
{
    int status = LUA_ERRMEM;
    for (long n = 0; status != LUA_OK; n++) {
        struct allowance allowance = {-1};
        struct artel_buffer out; /* outside the protected call: raising cannot lose it */
        artel_buffer_init(&out);
        lua_State *L = lua_newstate(allocate, &allowance);
        lua_pushcfunction(L, encode_and_decode);
        lua_pushlightuserdata(L, &out);
        allowance.allocations_left = n;
        status = lua_pcall(L, 1, 0, 0);
        CHECK(status == LUA_OK || status == LUA_ERRMEM);
        CHECK(n < 10000);
        allowance.allocations_left = -1;
        lua_close(L);
        artel_buffer_fini(&out);
    }
}

int main(void)
{
    RUN(the_length_limit_is_exact);
    RUN(what_is_queued_before_stays);
    RUN(the_item_limit_is_exact);
    RUN(the_number_key_limit_counts_keys_outside_the_list);
    RUN(the_depth_limit_is_exact);
    RUN(no_bytes_are_no_value);
    RUN(each_failed_allocation_is_only_raised);
    return 0;
}
