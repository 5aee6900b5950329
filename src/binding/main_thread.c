/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows how a module is loaded on the main thread from whatever coroutine asks for it.
 * luv before 1.49 calls every callback on the thread that loaded it: were that a
 * coroutine which is suspended by then, or gone, the process would crash. It also would
 * when a loop that it could not make for want of descriptors is collected.
 */
#include "main_thread.h"

#include "../core/error.h"
#include "../core/fd.h"

#include <lauxlib.h>

/* Seven are opened by luv, libuv and ours for a loop; one by what only uses it, or by
 * Lua, which says of a module that it cannot open that there is none. */
#define LOOP_DESCRIPTORS 8
#define FILE_DESCRIPTORS 2

static bool is_loaded(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    bool loaded = lua_getfield(L, -1, name) != LUA_TNIL;
    lua_pop(L, 2);
    return loaded;
}

static void look_for_room(lua_State *L, const char *name)
{
    int status =
        artel_fd_look_for_room(is_loaded(L, "luv") ? FILE_DESCRIPTORS : LOOP_DESCRIPTORS);
    if (status < 0) {
        luaL_error(L, "no descriptors to load %s with: %s", name,
                   artel_error_text(status));
    }
}

static int require_here(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* requireOnMainThread(name) → what require answers, or raises */
static int require_on_main_thread(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    if (!is_loaded(L, name)) {
        look_for_room(L, name);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_State *main = lua_tothread(L, -1);
    if (main == L) {
        lua_settop(L, 1);
        return require_here(L);
    }
    /* It waits below us in a resume, so a call on top of its stack disturbs nothing. */
    if (!lua_checkstack(main, LUA_MINSTACK)) {
        return luaL_error(L, "stack overflow");
    }
    lua_pushcfunction(main, require_here);
    lua_pushvalue(L, 1);
    lua_xmove(L, main, 1);
    int status = lua_pcall(main, 1, 1, 0);
    lua_xmove(main, L, 1);
    return status == LUA_OK ? 1 : lua_error(L);
}

void artel_main_thread_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"requireOnMainThread", require_on_main_thread},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
