/* SPDX-License-Identifier: Apache-2.0 */
/* Making the host's Lua state. */
#ifndef ARTEL_HOST_STATE_H
#define ARTEL_HOST_STATE_H

#include <lua.h>
#include <stdbool.h>

/*
 * A state with Lua's libraries and artel's modules ready for require. heed_paths: modules
 * are found as lua5.4 finds them, by LUA_PATH and LUA_CPATH; no other variable of Lua's
 * is ever heeded. NULL when there is no memory.
 */
lua_State *artel_host_state_new(bool heed_paths);

/*
 * Ends the process with the code, once everything in the state that has a finaliser is
 * finalised. The rest is not freed one by one: that takes a tenth of a raw worker's life.
 */
_Noreturn void artel_host_state_leave(lua_State *L, int code);

#endif
