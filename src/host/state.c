/* SPDX-License-Identifier: Apache-2.0 */
/* The host's Lua state: what it has before any code of a profile runs. */
#include "state.h"

#include "binding/core.h"
#include "memory.h"
#include "modules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Registry key of the first object of the state, whose finaliser is the last to be
 * called. */
static const char LAST = 0;

struct last {
    bool leaves; /* the process ends there */
    int code;
};

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

/* __index of package.preload: (table, name) → the loader of one of our modules, or nil.
 * Most workers ask for two or three of them. */
static int find_module(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }
    const char *name = lua_tostring(L, 2);
    const struct artel_host_module *module = ARTEL_HOST_MODULES;
    while (module->name != NULL && strcmp(module->name, name) != 0) {
        module++;
    }
    if (module->name == NULL) {
        return 0;
    }
    lua_pushlightuserdata(L, (void *)module);
    lua_pushcclosure(L, load_module, 1);
    return 1;
}

static int finalise_last(lua_State *L)
{
    const struct last *last = lua_touserdata(L, 1);
    if (last->leaves) {
        exit(last->code);
    }
    return 0;
}

/* Gives the value on top a metatable with the function. */
static void set_metamethod(lua_State *L, const char *name, lua_CFunction function)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
    lua_setmetatable(L, -2);
}

/* Runs protected: making a state can run out of memory like anything else. */
static int prepare(lua_State *L)
{
    struct last *last = lua_newuserdatauv(L, sizeof *last, 0);
    *last = (struct last){false, 0};
    set_metamethod(L, "__gc", finalise_last);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LAST);
    /* luaL_openlibs reads LUA_PATH and LUA_CPATH unless this is set: a worker gets its
     * paths from the profile, not from the environment it happens to be started in. */
    bool heed_paths = lua_toboolean(L, 1);
    lua_pushboolean(L, !heed_paths);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_artel_core);
    lua_setfield(L, -2, "artel.core");
    set_metamethod(L, "__index", find_module);
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

void artel_host_state_leave(lua_State *L, int code)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &LAST);
    struct last *last = lua_touserdata(L, -1);
    *last = (struct last){true, code};
    lua_close(L);
    abort(); /* not reached */
}
