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

/* Seven are opened by luv, libuv and ours for a loop. */
#define LOOP_DESCRIPTORS 8

static void look_for_room(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    bool is_loaded = lua_getfield(L, -1, name) != LUA_TNIL;
    lua_pop(L, 2);
    int status = is_loaded ? 0 : artel_fd_look_for_room(LOOP_DESCRIPTORS);
    if (status < 0) {
        luaL_error(L, "no descriptors for the loop of %s: %s", name,
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
    look_for_room(L, luaL_checkstring(L, 1));
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
