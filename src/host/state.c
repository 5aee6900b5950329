/* SPDX-License-Identifier: Apache-2.0 */
/* The host's Lua state: what it has before any code of a profile runs. */
#include "state.h"

#include "binding/core.h"
#include "memory.h"
#include "modules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

/* Our own build made this code, so bytecode is fine here and nowhere else. */
static int load_module(lua_State *L)
{
    const struct artel_host_module *module = lua_touserdata(L, lua_upvalueindex(1));
    if (luaL_loadbufferx(L, (const char *)module->code, module->code_len, module->name,
                         "b") != LUA_OK) {
        return lua_error(L);
    }
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* Runs protected: making a state can run out of memory like anything else. */
static int prepare(lua_State *L)
{
    /* luaL_openlibs reads LUA_PATH and LUA_CPATH unless this is set: a worker gets its
     * paths from the profile, not from the environment it happens to be started in. */
    bool heed_paths = lua_toboolean(L, 1);
    lua_pushboolean(L, !heed_paths);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_artel_core);
    lua_setfield(L, -2, "artel.core");
    for (const struct artel_host_module *module = ARTEL_HOST_MODULES;
         module->name != NULL; module++) {
        lua_pushlightuserdata(L, (void *)module);
        lua_pushcclosure(L, load_module, 1);
        lua_setfield(L, -2, module->name);
    }
    return 0;
}

lua_State *artel_host_state_new(bool heed_paths)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        return NULL;
    }
    artel_host_keep_large_blocks(L);
    lua_pushcfunction(L, prepare);
    lua_pushboolean(L, heed_paths);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        lua_close(L);
        return NULL;
    }
    return L;
}
