/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reading of bootstrap files. The first byte of the input chooses what the
 * rest is: the text of a file, or a plan in msgpack, of which a file is written and read.
 */
#include "bootstrap_file.h"
#include "lua_fuzz.h"

#include "binding/codec.h"

/* load(text) -> plan | nil, message */
static int load(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int status = artel_bootstrap_text_load(L, text, len, "fuzz");
    if (lua_gettop(L) != 2) {
        abort();
    }
    if (status < 0) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    lua_State *L = fuzz_start("bootstrap_file");
    lua_pushcfunction(L, load);
    if (data[0] & 1) {
        if (artel_msgpack_decode(L, data + 1, size - 1, &ARTEL_CODEC_DEFAULT_LIMITS) <
            0) {
            return 0;
        }
        lua_pushboolean(L, 1);
    } else {
        lua_pushlstring(L, (const char *)data + 1, size - 1);
        lua_pushboolean(L, 0);
    }
    fuzz_check(L);
    return 0;
}
